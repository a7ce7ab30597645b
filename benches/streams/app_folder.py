"""How is a copy of the application set up that counts its calls of the store?"""

import json
from pathlib import Path

from standins.paths import ROOT

FOLDERS = ("activities", "api", "clients", "composition", "domain", "orchestrators", "state", "telemetry")
FILES = ("settings.py", "prices.toml", "sources.toml", "local.settings.sample.json", "requirements.txt")
ROOM = "concurrency = 64"


def folder_of_app(folder: Path, streams: int) -> Path:
    """Link the product's files into an app that counts store calls and whose host runs so many turns at once."""
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
    """Return a fleet whose scripted backends take so many calls at once."""
    text = (ROOT / "fleet.toml").read_text()
    assert ROOM in text
    return text.replace(ROOM, f"concurrency = {2 * streams}")
