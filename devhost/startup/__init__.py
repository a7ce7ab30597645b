"""What happens from the start command to a host that is ready?"""
