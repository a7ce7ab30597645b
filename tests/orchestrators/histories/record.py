"""How does a release record its histories for later ones? `python -m tests.orchestrators.histories.record` writes them.

A version's histories are written once: its instances may be running when the next release is deployed. A change that
breaks their replay needs a new version of the orchestration: `VERSION` in durable_host.py, `defaultVersion` in
host.json.
"""

import json
from pathlib import Path

from tests.orchestrators.durable_host import VERSION
from tests.orchestrators.histories.paths import PATHS, recorded

FOLDER = f"v{VERSION}"
HISTORIES = Path(__file__).parent


def record(folder: Path) -> None:
    """Write the history of every path that has none yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in PATHS:
        file = folder / f"{path}.json"
        if not file.exists():
            file.write_text(written(path), encoding="utf-8")


def written(path: str) -> str:
    """Return one event on each line, so that a diff is readable."""
    record = recorded(path)
    events = ",\n".join(json.dumps(event) for event in record["history"])
    return f'{{"input": {json.dumps(record["input"])}, "history": [\n{events}\n]}}\n'


if __name__ == "__main__":
    record(HISTORIES / FOLDER)
