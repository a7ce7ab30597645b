"""What do all HTTP functions share: authentication, JSON bodies, pagination and errors?"""
