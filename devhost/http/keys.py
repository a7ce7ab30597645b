"""Which keys does the host have, and what does each open?"""

import json
import os
import secrets
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from hmac import compare_digest
from pathlib import Path

from devhost.app.settings import SettingsError, read_json

SIZE = 40
FOLDER = ".devhost"


class Level(StrEnum):
    """What a function or an address asks for."""

    ANONYMOUS = "anonymous"
    FUNCTION = "function"
    SYSTEM = "system"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The master key opens everything, `host` every function, `durable` the management API.

    `functions` has a key of its own for each function that asks for one.
    """

    master: str
    host: str
    durable: str
    functions: dict[str, str] = field(default_factory=dict[str, str])

    def opening(self, level: Level, function: str) -> tuple[str, ...]:
        """All keys that open this."""
        match level:
            case Level.FUNCTION:
                own = self.functions.get(function)
                return (self.master, self.host, own) if own else (self.master, self.host)
            case Level.SYSTEM:
                return self.master, self.durable
            case _:
                return (self.master,)

    def admit(self, given: str | None, level: Level, function: str = "") -> bool:
        if level is Level.ANONYMOUS:
            return True
        asked = (given or "").encode(errors="replace")
        return any(compare_digest(asked, key.encode()) for key in self.opening(level, function))


def level_from_text(text: str | None) -> Level:
    """A function that says nothing asks for a function's key."""
    known = {level.value for level in Level}
    return Level(text.lower()) if text and text.lower() in known else Level.FUNCTION


def new_key() -> str:
    return secrets.token_urlsafe(SIZE)


def keys_path(database: Path) -> Path:
    return database.with_name("keys.json")


def read_keys(path: Path) -> Keys:
    """Raises SettingsError."""
    try:
        return Keys(**read_json(path))
    except TypeError as error:
        raise SettingsError(f"{path}: {error}") from None


def written(keys: Keys, folder: Path) -> str:
    """A new file beside its place, for the owner's eyes only."""
    descriptor, name = tempfile.mkstemp(dir=folder, prefix="keys.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(keys), file, indent=2)
    return name


def keep_to_itself(folder: Path) -> None:
    """What a host keeps in an app's own folder belongs in no repository."""
    folder.mkdir(parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if folder.name == FOLDER and not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")


def keys_of_host(path: Path) -> Keys:
    """The keys of this folder, made at the first start. Raises SettingsError."""
    if not path.exists():
        keep_to_itself(path.parent)
        name = written(Keys(master=new_key(), host=new_key(), durable=new_key()), path.parent)
        try:
            os.link(name, path)
        except FileExistsError:
            pass  # another host of this folder was quicker: its keys hold
        finally:
            Path(name).unlink()
    return read_keys(path)


def with_functions(path: Path, keys: Keys, names: Iterable[str]) -> Keys:
    """A key for each function that has none yet."""
    lacking = [name for name in names if name not in keys.functions]
    if not lacking:
        return keys
    found = replace(keys, functions=keys.functions | {name: new_key() for name in lacking})
    Path(written(found, path.parent)).replace(path)
    return found
