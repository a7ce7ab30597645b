"""What do all HTTP functions share: authentication, JSON bodies, pages and errors?"""
