"""Which keys does the host have, and what does each key open?"""

import json
import os
import secrets
import tempfile
from collections.abc import Iterable
from copy import replace
from dataclasses import dataclass, field
from enum import StrEnum
from hmac import compare_digest
from pathlib import Path

from devhost.app.settings import SettingsError, read_json
from devhost.console import log_line

KEY_BYTES = 40
REQUIRED = "required"
STATE_FOLDER = ".devhost"


class AuthLevel(StrEnum):
    """The key level that a function or URL requires."""

    ANONYMOUS = "anonymous"
    FUNCTION = "function"
    SYSTEM = "system"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKeys:
    """`master` opens everything, `host` every function, `durable` the management API.

    `functions` has one key for each function of level FUNCTION.
    """

    master: str
    host: str
    durable: str
    functions: dict[str, str] = field(default_factory=dict[str, str])

    def accepted_keys(self, level: AuthLevel, function: str) -> tuple[str, ...]:
        """All keys that open this level and function."""
        match level:
            case AuthLevel.FUNCTION:
                own = self.functions.get(function)
                return (self.master, self.host, own) if own else (self.master, self.host)
            case AuthLevel.SYSTEM:
                return self.master, self.durable
            case _:
                return (self.master,)

    def accepts(self, key: str | None, level: AuthLevel, function: str = "") -> bool:
        if level is AuthLevel.ANONYMOUS:
            return True
        sent = (key or "").encode(errors="replace")
        return any(compare_digest(sent, key.encode()) for key in self.accepted_keys(level, function))


def level_from_text(text: str | None) -> AuthLevel:
    """The default level is FUNCTION."""
    known = {level.value for level in AuthLevel}
    return AuthLevel(text.lower()) if text and text.lower() in known else AuthLevel.FUNCTION


def new_key() -> str:
    return secrets.token_urlsafe(KEY_BYTES)


def keys_path(database: Path) -> Path:
    return database.with_name("keys.json")


def new_keys() -> HostKeys:
    return HostKeys(master=new_key(), host=new_key(), durable=new_key())


def keys_to_json(keys: HostKeys) -> str:
    wire = {"master": keys.master, "host": keys.host, "durable": keys.durable, "functions": keys.functions}
    return json.dumps({REQUIRED: True, **wire}, indent=2)


def read_keys(path: Path) -> HostKeys:
    """Raises SettingsError, also if no host that requires keys has written the file."""
    wire = read_json(path)
    if wire.pop(REQUIRED, None) is not True:
        raise SettingsError(f"{path}: no keys of a host that requires them: start it with --enable-auth")
    try:
        return HostKeys(**wire)
    except TypeError as error:
        raise SettingsError(f"{path}: {error}") from None


def write_temporary(keys: HostKeys, folder: Path) -> str:
    """Writes a new file beside the key file that only its owner can read; returns its name."""
    descriptor, name = tempfile.mkstemp(dir=folder, prefix="keys.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(keys_to_json(keys))
    return name


def create_ignored_folder(folder: Path) -> None:
    """Creates the folder; in an app's own folder, git ignores its content."""
    folder.mkdir(parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if folder.name == STATE_FOLDER and not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")


def load_or_create_keys(path: Path) -> HostKeys:
    """Reads the keys of this folder, or creates them at the first start. Raises SettingsError.

    Keys of an earlier version may have been given to anybody by a host that required none: they are replaced.
    """
    if path.exists() and REQUIRED not in read_json(path):
        path.unlink()
    if not path.exists():
        name = write_temporary(new_keys(), path.parent)
        try:
            os.link(name, path)
        except FileExistsError:
            pass  # another host of this folder was quicker: its keys hold
        finally:
            Path(name).unlink()
    return read_keys(path)


def with_function_keys(path: Path | None, keys: HostKeys, names: Iterable[str]) -> HostKeys:
    """Adds a key for each function that has none, and saves the file, if there is one.

    If the file can't be written, the new keys are valid until the host stops.
    """
    lacking = [name for name in names if name not in keys.functions]
    if not lacking:
        return keys
    found = replace(keys, functions=keys.functions | {name: new_key() for name in lacking})
    if path is not None:
        try:
            Path(write_temporary(found, path.parent)).replace(path)
        except OSError as error:
            log_line(
                f"warning: {path} can't be written ({error}): this host's end loses the keys of {', '.join(lacking)}"
            )
    return found
