"""What does the timer repair, release and close once a minute?"""
