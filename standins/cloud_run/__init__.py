"""How does a GPU service on Cloud Run behave that scales to zero?"""
