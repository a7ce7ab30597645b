"""Which options does the start command have?"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOptions:
    """The command line. Port 0 takes a free one; `auth` asks for keys; `listener` is a socket to listen on instead."""

    app: Path
    port: int
    database: Path
    state: Path | None = None
    auth: bool = False
    listener: int | None = None
