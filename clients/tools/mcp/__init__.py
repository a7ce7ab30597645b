"""How is an MCP server asked for its tools, and how are they called?"""
