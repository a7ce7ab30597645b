"""Which tools does the server run for a turn, with which rights and limits?"""
