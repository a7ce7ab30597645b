"""How do we prove to a backend who we are, without holding a key?"""
