"""Who is calling, what do they want, how do we answer?"""
