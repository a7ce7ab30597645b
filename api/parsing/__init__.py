"""How does an OpenAI request become a turn request, and which of its fields is wrong?"""
