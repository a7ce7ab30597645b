"""Which commands use a running application over its HTTP API alone?"""
