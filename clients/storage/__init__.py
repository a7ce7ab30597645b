"""How are documents stored? One port, one contract, two adapters."""
