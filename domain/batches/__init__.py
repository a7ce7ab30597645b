"""What is a batch, and when does it run?"""
