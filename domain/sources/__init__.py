"""Which private data may a turn read, and how do they enter the prompt?"""
