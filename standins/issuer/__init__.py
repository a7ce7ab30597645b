"""How do Microsoft Entra, a managed identity and Google issue tokens on this machine?"""
