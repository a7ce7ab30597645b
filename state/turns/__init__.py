"""How are responses, their logs and conversations stored and read?"""
