"""Which socket does the host listen on?"""

import socket

HOST = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """Port 0 takes a free one. Raises OSError when the port is taken."""
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
    """The socket of the process that started this one."""
    listener = socket.socket(fileno=descriptor)
    listener.setblocking(False)
    return listener


def origin_of(listener: socket.socket) -> str:
    return f"http://{HOST}:{listener.getsockname()[1]}"
