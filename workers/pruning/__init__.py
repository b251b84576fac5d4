"""The shelf of pruners: a file is a way to choose the weights that become zero and stay so."""
