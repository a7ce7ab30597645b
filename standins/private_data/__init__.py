"""What stands in for a company's private data on this machine?"""
