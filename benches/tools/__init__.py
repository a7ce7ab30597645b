"""What do calls of tools cost?"""
