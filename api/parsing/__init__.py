"""How does an OpenAI request become a request of ours, and which field is wrong?"""
