"""How are the tokens of a text counted?"""
