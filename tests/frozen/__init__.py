"""Does this release read what the first release has stored, and write the same?

The JSON files are what the first release wrote. They are never edited: a file that no longer fits means lost data.
A new stored kind gets a new file.
"""
