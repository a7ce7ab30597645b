"""How are callers authenticated, and how does the app authenticate to other services?"""
