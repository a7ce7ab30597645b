"""What is a file of a caller?"""
