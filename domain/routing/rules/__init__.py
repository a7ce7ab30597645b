"""Which rule of renting or buying would have been the cheapest, and what did GPU sessions earn?"""
