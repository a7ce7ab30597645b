"""What does the product remember, and how does it change safely?"""
