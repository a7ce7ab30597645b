"""How do the engine and version 1.x of the Durable Functions SDK understand each other?"""
