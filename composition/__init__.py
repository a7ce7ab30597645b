"""How is the application put together? Configuration and ports go in; tests use the same root."""
