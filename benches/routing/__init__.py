"""What does the choice between an API and a GPU that scales to zero cost?"""
