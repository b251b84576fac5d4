"""The shelf of nets: a file is an architecture; the function of the file's name builds it."""
