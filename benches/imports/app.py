"""How long does the application take to import, and how much memory?

`python -m benches.imports.app [RUNS]`: medians of fresh processes. Every durable, streaming Functions app imports the
libraries that are measured alone. rich is hidden because it is not deployed.
"""

import os
import statistics
import subprocess
import sys

from benches.command_line import chosen_number, counted
from benches.tables import print_table

RUNS = 9
PROGRAM = """
import resource, sys, time
sys.modules["rich"] = None
started = time.perf_counter()
{imports}
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
LIBRARIES = "import azure.functions, azure.durable_functions, azurefunctions.extensions.http.fastapi, httpx"
APPLICATION = "import function_app"
SETTINGS = {
    "GANGLION_TOKEN_KEYS": "unread.json",
    "GANGLION_TOKEN_AUDIENCE": "audience",
    "GANGLION_TOKEN_TENANTS": "tenant",
    "GANGLION_SCRIPTED_URL": "http://127.0.0.1:1/v1",
}


def once(imports: str) -> tuple[float, float]:
    """Import in a fresh process; return seconds and MiB."""
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM.format(imports=imports)]
    done = subprocess.run(command, env=os.environ | SETTINGS, capture_output=True, text=True, check=True)  # noqa: S603 - a fixed command
    seconds, mebibytes = done.stdout.split()[-2:]
    return float(seconds), float(mebibytes)


def main() -> None:
    runs = chosen_number(RUNS, "runs")
    pairs = [(once(LIBRARIES), once(APPLICATION)) for _ in counted(range(runs), "pairs of imports")]
    libraries_s, application_s = (statistics.median(pair[side][0] for pair in pairs) for side in (0, 1))
    libraries_mib, application_mib = (statistics.median(pair[side][1] for pair in pairs) for side in (0, 1))
    print_table(
        ("import", "libraries alone", "function_app", "ratio", "limit of function_app"),
        [
            ("seconds", f"{libraries_s:.2f}", f"{application_s:.2f}", f"{application_s / libraries_s:.2f}", "1.00"),
            ("MiB", f"{libraries_mib:.0f}", f"{application_mib:.0f}", f"{application_mib / libraries_mib:.2f}", "100"),
        ],
    )


if __name__ == "__main__":
    main()
