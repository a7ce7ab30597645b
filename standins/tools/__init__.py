"""How does a small shop answer calls of its tools, and which effects has it counted?"""
