"""How many turns can worker processes run that share one backend, one tenant and one store?"""
