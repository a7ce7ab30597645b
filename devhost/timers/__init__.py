"""How do timer triggers run on their schedules?"""
