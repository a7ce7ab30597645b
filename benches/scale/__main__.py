"""How many turns run at once over one store? `python -m benches.scale [CONCURRENT...]` measures it."""

from benches.scale.comparison import main

if __name__ == "__main__":
    main()
