"""How fast are batches, and what do their lines cost?"""
