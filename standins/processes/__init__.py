"""How does a stand-in run as a child process: start, report its port, end with its parent?"""
