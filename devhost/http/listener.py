"""Which socket accepts the host's connections?"""

import socket

HOST = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """Port 0 selects a free port. Raises OSError if the port is in use."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"port {port}: {error.strerror}") from None
    listener.listen(1024)
    listener.setblocking(False)
    return listener


def adopt_listener(descriptor: int) -> socket.socket:
    """Uses the socket that the parent process opened."""
    listener = socket.socket(fileno=descriptor)
    listener.setblocking(False)
    return listener


def origin_of(listener: socket.socket) -> str:
    return f"http://{HOST}:{listener.getsockname()[1]}"
