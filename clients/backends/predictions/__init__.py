"""How is an answer read from a service that keeps it under an id, like Replicate's predictions?"""
