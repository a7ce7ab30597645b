"""How fast is the local Functions host?

`python -m benches.devhost [RUNS]`: starts hosts of its own on free ports, with a small app and databases in a folder
that goes afterwards. Milliseconds unless a line says otherwise; ratios compare medians of one run.
"""

from benches.devhost.measures import main

if __name__ == "__main__":
    main()
