"""Which fields describe one tool in the file of the tools?"""
