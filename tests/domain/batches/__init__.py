"""The decisions of batches."""
