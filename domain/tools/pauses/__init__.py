"""GPUs that are ended during long calls."""
