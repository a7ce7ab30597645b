"""What do calls of backends cost: their pieces, their signatures, their credentials?"""
