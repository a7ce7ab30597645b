"""A local Azure Functions host with Durable Functions: host and worker are two processes."""
