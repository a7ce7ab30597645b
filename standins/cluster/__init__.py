"""How are the stand-ins, the models and the Functions host started together, and stopped?"""
