"""What is one step of a turn that is safe to run twice?"""
