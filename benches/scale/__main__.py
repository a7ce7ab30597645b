"""How many turns a second do four worker processes run that share one backend, one tenant and one store?

`python -m benches.scale [CONCURRENT...]` measures it for each number of concurrent turns: on one SQLite file and on the
local server for Cosmos DB, with 0 and with 10 ms added to each call of the store, and in virtual time.
"""

from benches.scale.comparison import main

if __name__ == "__main__":
    main()
