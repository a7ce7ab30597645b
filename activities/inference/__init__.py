"""How does one attempt at one backend run, write its answer to the log and pay?"""
