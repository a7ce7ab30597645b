"""How is a server called that takes one prompt, or a form of its own, in place of Chat Completions?"""
