"""How does a SQLite file keep documents?"""
