"""How are the answers to requests for an approval checked, and what follows from them?"""
