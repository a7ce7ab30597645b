"""What does the file of the pipelines say?"""
