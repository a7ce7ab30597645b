"""How does an HTTP request become a turn, and a turn an HTTP response?"""
