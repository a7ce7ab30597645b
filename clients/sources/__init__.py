"""How are private data fetched?"""
