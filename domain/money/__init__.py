"""What does a turn cost, and which budget pays for it?"""
