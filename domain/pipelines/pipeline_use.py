"""Which event does a turn answer?"""

from collections.abc import Mapping
from typing import Any, Self

from msgspec import Struct


class PipelineUse(Struct, frozen=True, kw_only=True):
    """The pipeline of a turn, the digest of its event, and the webhook that gets its end; empty: none."""

    name: str
    event: str
    webhook: str = ""

    def to_document(self) -> dict[str, Any]:
        return {"name": self.name, "event": self.event, "webhook": self.webhook}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(name=body["name"], event=body["event"], webhook=body["webhook"])
