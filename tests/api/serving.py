"""How is the API reached over a real socket, as the host's worker serves it?"""

from contextlib import AbstractAsyncContextManager

from tests.api.harness import Api
from tests.fakes.servers.listening import listening


def served(one: Api) -> AbstractAsyncContextManager[str]:
    """Serve the API on a free port, as the worker does; yield its address."""
    return listening(one.app())
