"""What would the same requests cost on an API, on rented GPUs and on owned hardware, and where do they break even?"""
