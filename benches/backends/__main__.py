"""`python -m benches.backends [RUNS]`."""

from benches.backends.measures import main

if __name__ == "__main__":
    main()
