"""How does Bedrock's Converse take a request, and how does it stream an answer?"""
