"""How do we read private data?"""
