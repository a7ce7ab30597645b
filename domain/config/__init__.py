"""What do the operator's TOML files say, and what is wrong in them?"""
