"""How do files arrive and leave, and how do the files that an input names become part of it?"""
