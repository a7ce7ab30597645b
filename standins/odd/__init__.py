"""What do servers stream that behave otherwise than the specification says?"""
