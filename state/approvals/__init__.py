"""How are requests for approvals listed, waited for and carried out while their turns wait?"""
