"""How does one attempt call one backend, write the answer to the log and get billed?"""
