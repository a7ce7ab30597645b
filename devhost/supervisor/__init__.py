"""How does the host start its worker process, call functions in it and restart it?"""
