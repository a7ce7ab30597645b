"""Which properties do Azure's published types give to our resources? `python -m scripts.azure_types CLONE`."""
