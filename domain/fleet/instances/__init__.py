"""Who decides how many instances of a backend run, and when do they stop?"""
