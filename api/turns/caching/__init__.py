"""May a turn take over the answer of another one, and by which key is that found?"""
