"""How are the results of the routing benchmark kept and shown?"""
