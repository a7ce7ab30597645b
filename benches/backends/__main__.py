"""`python -m benches.backends [RUNS]`."""

from benches.backends.measures import main

main()
