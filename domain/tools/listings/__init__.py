"""Which tools that a server lists itself may be offered to a model?"""
