"""What starts a pipeline, and what becomes of its turns?"""
