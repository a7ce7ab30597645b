"""How do queue triggers run? As the extension of Azure Storage queues does it."""
