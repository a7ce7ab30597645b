"""How do we talk to the outside?"""
