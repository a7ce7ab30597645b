"""Would timed warm-ups and hedged first tokens pay?"""
