"""What does one life of a GPU cost, and which part does each of its members pay?"""
