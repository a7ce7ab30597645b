"""In which formats does a server send an answer, and how is a body cut into frames?"""
