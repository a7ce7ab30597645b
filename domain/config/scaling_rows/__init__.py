"""What does the fleet file say about who starts and ends instances?"""
