"""How does the app sign in to a local stand-in of an Azure service, and how does it verify that stand-in?"""

import ssl
from pathlib import Path
from typing import Any, Self, cast

from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import AioHttpTransport


class LocalToken:
    """The token of the settings; it is not renewed."""

    def __init__(self, token: str, expires_on: int) -> None:
        self.token = token
        self.expires_on = expires_on

    async def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        return AccessToken(self.token, self.expires_on)

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None: ...


class LocalTransport(AioHttpTransport):
    """Verifies the server with the CA of the settings; the SDK does not verify a loopback address at all."""

    def __init__(self, authority: Path) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType] - azure-core's own annotations are partial
        self.context = ssl.create_default_context(cafile=str(authority))

    async def send(self, request: Any, **config: Any) -> Any:
        verified = {"connection_verify": True, "connection_cert": None, "ssl": self.context}
        return cast("Any", await super().send(request, **(config | verified)))  # pyright: ignore[reportUnknownMemberType] - as above
