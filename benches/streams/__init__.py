"""How late do words arrive when many streams run at the same time?"""
