"""Which local.settings.json connects `func start` with the processes of a cluster?"""

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from standins.paths import ROOT

SAMPLE = ROOT / "local.settings.sample.json"
APP_SETTINGS = "app.settings.json"
"""The file in a cluster's data with the settings of its application, for `python -m ganglion doctor`."""


class SettingsFileError(Exception):
    """An existing settings file cannot be read or replaced."""


def record_settings(data: Path, settings: Mapping[str, str]) -> None:
    """Write the settings of a cluster's application into its data, readable by their owner alone."""
    path = data / APP_SETTINGS
    path.touch(mode=0o600)
    sample = read_document(SAMPLE)
    path.write_text(json.dumps({**sample, "Values": {**sample["Values"], **settings}}, indent=2), encoding="utf-8")


@contextmanager
def written_settings(path: Path, settings: Mapping[str, str]) -> Generator[None]:
    """Write the settings file, readable by its owner alone; afterwards put back what was there before.

    Values of an existing file that the cluster does not set are kept. A file that was changed meanwhile stays as it is.
    """
    before = path.read_bytes() if path.is_file() else None
    written = settings_text(path, settings).encode()
    try:
        path.touch(mode=0o600)
        path.write_bytes(written)
    except OSError as error:
        raise SettingsFileError(f"{path} cannot be written: {error.strerror}") from None
    try:
        yield
    finally:
        if path.is_file() and path.read_bytes() == written:
            restore(path, before)


def settings_text(path: Path, settings: Mapping[str, str]) -> str:
    """Return the new content: the sample, overridden by the existing file, overridden by the cluster's settings."""
    existing = read_document(path) if path.is_file() else {}
    sample = read_document(SAMPLE)
    values = {**sample["Values"], **existing.get("Values", {}), **settings}
    return json.dumps({**sample, **existing, "Values": values}, indent=2) + "\n"


def read_document(path: Path) -> dict[str, Any]:
    found: dict[str, Any] | None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not (isinstance(found, dict) and isinstance(found.get("Values", {}), dict)):
        raise SettingsFileError(f"{path} is not a JSON object with Values; correct it or remove it")
    return found


def restore(path: Path, before: bytes | None) -> None:
    if before is None:
        path.unlink()
    else:
        path.write_bytes(before)
