"""How is a tool of a configured server called?"""
