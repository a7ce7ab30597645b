"""How does a server of the official MCP SDK answer, and which effects has it counted?"""
