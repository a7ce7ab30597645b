"""How does each inference system look from outside, with the scripted model behind it?"""
