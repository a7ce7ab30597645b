"""How does an operator look at the product from outside, at a command line?"""
