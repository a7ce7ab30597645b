"""How are files stored, read and deleted?"""
