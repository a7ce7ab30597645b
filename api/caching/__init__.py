"""May a turn take over the answer of another one, and how does its caller see that it did?"""
