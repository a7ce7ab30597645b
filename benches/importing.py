"""How long does the application take to import, and how much memory?

`python -m benches.importing [RUNS]`: fresh processes, medians. rich is hidden, as it is not deployed.
"""

import os
import statistics
import subprocess
import sys

from benches.tables import print_table

RUNS = 9
PROGRAM = """
import resource, sys, time
sys.modules["rich"] = None
started = time.perf_counter()
import function_app
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
SETTINGS = {
    "GANGLION_TOKEN_KEYS": "unread.json",
    "GANGLION_TOKEN_AUDIENCE": "audience",
    "GANGLION_TOKEN_TENANTS": "tenant",
    "GANGLION_SCRIPTED_URL": "http://127.0.0.1:1/v1",
}


def once() -> tuple[float, float]:
    """Import in a fresh process; return seconds and MiB."""
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    done = subprocess.run(command, env=os.environ | SETTINGS, capture_output=True, text=True, check=True)  # noqa: S603 - our own command
    seconds, mebibytes = done.stdout.split()[-2:]
    return float(seconds), float(mebibytes)


def main() -> None:
    runs = [once() for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)]
    seconds = statistics.median(run[0] for run in runs)
    mebibytes = statistics.median(run[1] for run in runs)
    print_table(
        ("import function_app", "median", "limit"),
        [("seconds", f"{seconds:.2f}", "1.00"), ("MiB", f"{mebibytes:.0f}", "100")],
    )


if __name__ == "__main__":
    main()
