"""How is an inference service called, and what does it answer?"""
