"""Is this instance alive, and is it ready to serve a turn?"""

from azurefunctions.extensions.http.fastapi import Request, Response

from api.http.errors import json_answer
from clients.storage.port import Container, DocumentKey, DocumentStore
from domain.errors import Retryable
from domain.fleet.catalog import Fleet

PROBE = DocumentKey(container=Container.FLEET, parts=("readyz",))


class Health:
    """The HTTP functions for probes. They need no token and return nothing that requires one."""

    def __init__(self, *, store: DocumentStore, fleet: Fleet, release: str) -> None:
        self.store = store
        self.fleet = fleet
        self.release = release

    async def alive(self, req: Request) -> Response:  # noqa: ARG002 - every HTTP function takes its request
        """`GET /healthz` and `HEAD /healthz`"""
        return json_answer({"status": "ok"})

    async def ready(self, req: Request) -> Response:  # noqa: ARG002 - every HTTP function takes its request
        """`GET /readyz` and `HEAD /readyz`: the release, the state of each part, the usable backends."""
        parts = {
            "store": "ok" if await self.store_answers() else "does not answer",
            "fleet": "ok" if self.fleet.backends else "has no backend",
        }
        ready = all(state == "ok" for state in parts.values())
        body = {
            "status": "ok" if ready else "not ready",
            "release": self.release,
            "parts": parts,
            "backends": sorted(self.fleet.backends),
        }
        return json_answer(body, status=200 if ready else 503)

    async def store_answers(self) -> bool:
        try:
            await self.store.read(PROBE, "probe")
        except Retryable:
            return False
        return True
