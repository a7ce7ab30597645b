"""What is a response, and what does it read of its conversation?"""
