"""In what order? Deterministic: no I/O, no clock, no environment."""
