"""How soon does telemetry arrive, and how long does the doctor take?"""
