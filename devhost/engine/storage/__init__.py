"""How is the state of the task hub read and written in one SQLite file?"""
