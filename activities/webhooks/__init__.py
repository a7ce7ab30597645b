"""Which webhooks follow from a turn that has ended or from a budget, and how is one delivered?"""
