"""How does Azure Cosmos DB keep documents?"""
