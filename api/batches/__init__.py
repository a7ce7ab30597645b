"""How does a line of a file become a turn, and a turn a line of a file?"""
