"""How does the whole product run on one machine, without an account at any cloud?"""
