"""How does an Azure Cosmos DB account run on this machine?"""
