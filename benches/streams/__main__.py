"""How late do words arrive? `python -m benches.streams [STREAMS ...]` measures it."""

from benches.command_line import chosen_numbers
from benches.streams.many_streams import main

if __name__ == "__main__":
    main(*chosen_numbers((), "streams"))
