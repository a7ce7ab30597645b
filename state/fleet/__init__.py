"""What has the product learned of its backends, and who is warming one up?"""
