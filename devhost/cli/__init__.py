"""How does a developer inspect and control orchestrations from the command line?"""
