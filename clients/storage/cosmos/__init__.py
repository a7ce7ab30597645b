"""How are documents stored in Azure Cosmos DB?"""
