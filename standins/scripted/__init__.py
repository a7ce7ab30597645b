"""How does a language model behave whose answers and failures are scripted in the prompt?"""
