"""What happened to a response, event by event?"""
