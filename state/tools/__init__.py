"""What is remembered of the tools that servers list?"""
