"""How is the backend of a turn chosen, and warmed up where it is cold?"""
