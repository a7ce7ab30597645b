"""How is a webhook delivered, and to which addresses?"""
