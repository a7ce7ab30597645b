"""How are turns, conversations and owners deleted?"""
