"""Which host names mean this machine?"""

from typing import Final

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
