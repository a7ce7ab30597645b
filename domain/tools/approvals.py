"""What is known of a request for an approval: which call it binds, until when it can be answered, and the decision?"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from domain.content.items import Item
from domain.content.tools import FunctionTool, ToolConfig
from domain.ids import own_token
from domain.tools.call_record import RecordStatus, hash_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether a call may be made; `by` is the subject that decided, `at` is in seconds since the epoch."""

    approves: bool
    reason: str
    by: str
    at: float

    def to_document(self) -> dict[str, Any]:
        return {"approves": self.approves, "reason": self.reason, "by": self.by, "at": self.at}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(approves=body["approves"], reason=body["reason"], by=body["by"], at=body["at"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A request for an approval of one call. It is decided once.

    `request` is the id of its item, `response` that of the turn that asks. `pin` is the hash of the tool as it was
    offered. Times are seconds since the epoch.
    """

    request: str
    response: str
    server: str
    tool: str
    pin: str
    arguments_hash: str
    asked_at: float
    expires_at: float
    decision: Decision | None = None

    @property
    def id(self) -> str:
        return approval_id(self.request)

    def has_expired(self, now: float) -> bool:
        """Tell whether it ended without a decision, which counts as denied."""
        return self.decision is None and now >= self.expires_at

    def binds(self, config: ToolConfig) -> bool:
        """Tell whether a turn offers the tool as it was when its call was asked for."""
        function = config.function_of(self.server, self.tool)
        return function is not None and pin_of(function) == self.pin

    def decided(self, decision: Decision) -> "Approval":
        return replace(self, decision=decision)

    def to_document(self) -> dict[str, Any]:
        status = RecordStatus.CLOSED if self.decision else RecordStatus.OPEN
        return {
            "kind": "approval",
            "v": 1,
            "status": status.value,
            "at": self.asked_at,
            "request": self.request,
            "response": self.response,
            "server": self.server,
            "tool": self.tool,
            "pin": self.pin,
            "arguments_hash": self.arguments_hash,
            "expires_at": self.expires_at,
            "decision": self.decision.to_document() if self.decision else None,
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            request=body["request"],
            response=body["response"],
            server=body["server"],
            tool=body["tool"],
            pin=body["pin"],
            arguments_hash=body["arguments_hash"],
            asked_at=body["at"],
            expires_at=body["expires_at"],
            decision=Decision.from_document(body["decision"]) if body["decision"] else None,
        )


def approval_id(request_id: str) -> str:
    return f"approval_{own_token(request_id)}"


def pin_of(function: FunctionTool) -> str:
    """Return the hash of what a tool was offered as, and what its caller read: 32 hexadecimal digits."""
    words = [function.server, function.name, function.description, function.parameters, function.writes]
    return hashlib.sha256(json.dumps(words, sort_keys=True).encode(errors="surrogatepass")).hexdigest()[:32]


def new_approval(request: Item, function: FunctionTool, *, response_id: str, at: float, lasts_s: float) -> Approval:
    return Approval(
        request=request.id,
        response=response_id,
        server=request.server,
        tool=request.name,
        pin=pin_of(function),
        arguments_hash=hash_of(request.text),
        asked_at=at,
        expires_at=at + lasts_s,
    )
