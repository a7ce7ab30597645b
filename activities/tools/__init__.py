"""How is a call of a tool sent, repeated and written to the log?"""
