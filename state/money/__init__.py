"""How are budgets reserved, attempts settled and GPU sessions billed?"""
