"""Which values does the engine store and exchange with user code?"""
