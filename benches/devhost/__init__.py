"""How fast is the local Functions host?"""
