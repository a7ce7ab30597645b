"""How late do words arrive? `python -m benches.streams [STREAMS ...]` measures it."""

import sys

from benches.streams.many_streams import main

if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
