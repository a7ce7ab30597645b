"""Who owns an object, and which claims of a token are accepted?"""
