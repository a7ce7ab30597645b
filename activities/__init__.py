"""What is one step that is safe to run twice?"""
