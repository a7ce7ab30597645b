"""How does the host answer HTTP requests?"""
