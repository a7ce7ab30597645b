"""How is a Chat Completions server called through the invocations of SageMaker and Lambda?"""
