"""What are the steps of a batch that are safe to run twice?"""
