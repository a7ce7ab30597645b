"""How does a response of ours become an OpenAI object or a stream of its events?"""
