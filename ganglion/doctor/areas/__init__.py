"""What does the doctor check in each area of an application?"""
