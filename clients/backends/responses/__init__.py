"""How does the Responses API take a request, and how does it stream an answer?"""
