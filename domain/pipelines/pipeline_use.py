"""Which event does a turn answer?"""

from collections.abc import Mapping
from typing import Any, Self

from msgspec import Struct


class PipelineUse(Struct, frozen=True, kw_only=True):
    """The pipeline of a turn, the digest of its event, and the webhook that gets its end; empty: none.

    `step` is the name of the step that the turn is; empty where the pipeline has but one.
    """

    name: str
    event: str
    webhook: str = ""
    step: str = ""

    def to_document(self) -> dict[str, Any]:
        step = {"step": self.step} if self.step else {}
        return {"name": self.name, "event": self.event, "webhook": self.webhook, **step}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(name=body["name"], event=body["event"], webhook=body["webhook"], step=body.get("step", ""))
