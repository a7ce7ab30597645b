"""How are turns and whole owners deleted?"""
