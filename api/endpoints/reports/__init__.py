"""What do callers and operators see of turns, money and the fleet?"""
