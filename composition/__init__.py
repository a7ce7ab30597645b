"""How is the application put together? Configuration and ports go in; tests and benches use the same root."""
