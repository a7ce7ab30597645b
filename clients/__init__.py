"""How does the product talk to the outside?"""
