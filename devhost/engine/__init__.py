"""How do orchestrations, activities, entities and durable timers run, independent of any wire protocol?"""
