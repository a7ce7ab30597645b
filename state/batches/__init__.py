"""What is remembered of batches and their lines?"""
