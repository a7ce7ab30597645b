"""Which backend takes a turn, at which cost, and is it worth a warm-up?"""
