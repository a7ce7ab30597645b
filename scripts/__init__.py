"""Which tools of the repository are programs of their own?"""
