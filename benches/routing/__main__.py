"""What does the choice of a backend cost?

`python -m benches.routing [fortnights | counted | development | record]` measures it, and `summary` prints what was
measured of all final cells.
"""

from benches.command_line import check_words
from benches.routing.comparison import main

if __name__ == "__main__":
    check_words(("fortnights", "counted", "development", "record", "summary"))
    main()
