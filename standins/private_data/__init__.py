"""How does a company's private data answer over HTTP?"""
