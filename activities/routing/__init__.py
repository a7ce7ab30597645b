"""How is the backend of a turn chosen, and warmed up if it is cold?"""
