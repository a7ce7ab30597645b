"""How is the package built that Azure runs without a remote build? `make package`."""
