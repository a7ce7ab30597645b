"""Where are the bytes of files kept?"""
