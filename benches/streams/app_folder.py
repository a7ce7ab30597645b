"""From which files does the application run whose calls of the store are counted?"""

import json
from pathlib import Path

from standins.paths import ROOT

FOLDERS = ("activities", "api", "clients", "domain", "orchestrators", "state")
FILES = ("settings.py", "telemetry.py", "prices.toml", "sources.toml", "local.settings.sample.json", "requirements.txt")
ROOM = "concurrency = 64"


def folder_of_app(folder: Path, streams: int) -> Path:
    """Make an app of the product's own files, whose store is counted and whose host has room for so many turns."""
    folder.mkdir()
    for name in (*FOLDERS, *FILES):
        (folder / name).symlink_to(ROOT / name)
    (folder / "product.py").symlink_to(ROOT / "function_app.py")
    (folder / "function_app.py").symlink_to(Path(__file__).with_name("counted_app.py"))
    host = json.loads((ROOT / "host.json").read_text())
    host["extensions"]["durableTask"]["maxConcurrentActivityFunctions"] = 2 * streams
    (folder / "host.json").write_text(json.dumps(host))
    (folder / "fleet.toml").write_text(fleet(streams))
    return folder


def fleet(streams: int) -> str:
    """Return a fleet whose scripted backends have room for so many calls."""
    text = (ROOT / "fleet.toml").read_text()
    assert ROOM in text
    return text.replace(ROOM, f"concurrency = {2 * streams}")
