"""Which backends are there, what is their state, and how does it change?"""
