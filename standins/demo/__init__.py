"""How does the demo show that the whole product works on this machine?"""
