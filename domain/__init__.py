"""What does the product decide? Pure: the standard library alone."""
