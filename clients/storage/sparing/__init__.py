"""How does a line of a batch call the store less often than a turn that somebody follows?"""
