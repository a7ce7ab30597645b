"""What does each endpoint of the HTTP API do?"""
