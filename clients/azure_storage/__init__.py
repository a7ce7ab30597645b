"""How are the contents of files, and messages, kept in Azure Storage?"""
