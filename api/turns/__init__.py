"""How is a turn admitted, started, streamed and awaited for a caller?"""
