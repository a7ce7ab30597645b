"""What do we decide? Pure: the standard library only."""
