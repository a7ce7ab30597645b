"""Which commands follow from the actions of an orchestrator and its history, and do they agree with it?"""
