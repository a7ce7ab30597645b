"""How fast is the console in a browser?"""
