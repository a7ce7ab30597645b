"""What does the choice of a backend cost?

`python -m benches.routing [fortnights | counted | development | record]` measures it.
"""

from benches.routing.comparison import main

if __name__ == "__main__":
    main()
