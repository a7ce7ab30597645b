"""What does the import of the application cost, from the sources and from the package?"""
