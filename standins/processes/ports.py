"""Which port is free on this machine?"""

import secrets
import socket

from standins.processes.http_server import HOST

LOWEST, HIGHEST = 20_000, 32_000
HIGHEST_PORT = 65_535
"""The highest number that a port can have."""


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Draws below the range of ephemeral ports, so that the port stays free for a while."""
    while True:
        port = LOWEST + secrets.randbelow(HIGHEST - LOWEST)
        if is_free(port):
            return port
