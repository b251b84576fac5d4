"""The shelf of methods: one file is one way to forget, its name is the method's name."""
