"""How many tokens does a text or a prompt have?"""
