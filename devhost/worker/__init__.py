"""The worker process: the app, through the real worker library."""
