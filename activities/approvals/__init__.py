"""How does a turn ask for approvals, and go on with the answers?"""
