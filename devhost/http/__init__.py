"""The public HTTP side of the host."""
