"""How does an event become a turn, and how are pipelines shown to operators?"""
