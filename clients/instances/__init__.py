"""How is the number of instances of a backend set?"""
