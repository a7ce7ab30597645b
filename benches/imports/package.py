"""How long does the application take to import from the package that is deployed?

`python -m benches.imports.package [RUNS]`: builds the package, then takes medians of fresh, bare interpreters that find
nothing but the package. "Libraries alone" are the imports of every durable, streaming Functions app. Seconds are CPU
time, because other programs on the machine must not change the ratio.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from benches.command_line import chosen_number, counted, report
from benches.imports.app import APPLICATION, LIBRARIES, RUNS, SETTINGS
from benches.tables import print_table
from scripts.package.__main__ import ROOT, build
from scripts.package.libraries import FOLDER

PROGRAM = """
import json, sys, time
sys.path[:0] = json.loads(sys.argv[1])
{imports}
print(time.process_time())
"""
LIMIT = 1.5


def once(imports: str, folder: Path) -> float:
    """Import in a fresh process; return its CPU seconds, those of the interpreter's own start included."""
    paths = json.dumps([str(folder), str(folder / FOLDER)])
    command = [sys.executable, "-I", "-S", "-W", "ignore", "-c", PROGRAM.format(imports=imports), paths]
    done = subprocess.run(command, env=SETTINGS, cwd="/", capture_output=True, text=True, check=True)  # noqa: S603 - a fixed command
    return float(done.stdout.split()[-1])


def main() -> None:
    runs = chosen_number(RUNS, "runs")
    with tempfile.TemporaryDirectory() as scratch:
        report("building the package")
        package = build(ROOT, Path(scratch) / "output")
        folder = Path(scratch) / "wwwroot"
        with zipfile.ZipFile(package.archive) as archive:
            archive.extractall(folder)
        pairs = [(once(LIBRARIES, folder), once(APPLICATION, folder)) for _ in counted(range(runs), "pairs of imports")]
    libraries_s, application_s = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    ratio = application_s / libraries_s
    row = ("CPU seconds", f"{libraries_s:.2f}", f"{application_s:.2f}", f"{ratio:.2f}", f"{LIMIT:.2f}")
    print_table(("import", "libraries alone", "function_app", "ratio", "limit of the ratio"), [row])


if __name__ == "__main__":
    main()
