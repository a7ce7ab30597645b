"""How does a turn become an OpenAI object or a stream of its events?"""
