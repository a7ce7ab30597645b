"""The durable engine: storage, inboxes, timers and work items; it knows no wire protocol."""
