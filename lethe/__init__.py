"""The hand: the client and the command line of Lethe."""
