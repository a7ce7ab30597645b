"""Which events has a pipeline got, and what has become of each?"""
