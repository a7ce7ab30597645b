"""Who is the caller, and how does the app prove its own identity?"""
