"""What does each step of a turn do? Every step is safe to run twice."""
