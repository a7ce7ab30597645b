"""What can be seen of the product from outside: spans, metrics and log lines, with ids and never with content."""
