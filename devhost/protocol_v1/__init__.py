"""The 1.x out-of-process protocol of Durable Functions, on top of the engine."""
