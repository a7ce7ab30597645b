"""How does the worker process run the app with Microsoft's worker library?"""
