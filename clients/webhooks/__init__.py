"""How is a webhook sent, and to which addresses?"""
