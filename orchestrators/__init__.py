"""In what order do the steps of a turn run? Deterministic: no I/O, no clock, no environment."""
