"""How long does a turn take on a backend, in line and at work?"""
