"""Is everything that the application needs present, reachable and right?"""
