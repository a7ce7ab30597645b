"""How does a caller's turn get admitted, started, streamed and awaited?"""
