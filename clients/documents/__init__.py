"""How is the text of a document read?"""
