"""Which options does the start command have?"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOptions:
    """Port 0 selects a free port; `auth` requires keys; `listener` is an inherited socket to use instead of `port`.

    `hosts` are the names, besides the loopback ones, by which the management API may be called.
    """

    app: Path
    port: int
    database: Path
    state: Path | None = None
    auth: bool = False
    listener: int | None = None
    hosts: tuple[str, ...] = ()
