"""What is known of a request for an approval: which call it binds, until when it can be answered, and the decision?"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from copy import replace
from typing import Any, Final, NamedTuple, Self

from msgspec import Struct

from domain.content.items import Item
from domain.content.tools import FunctionTool, ToolConfig
from domain.identity.owners import Owner
from domain.ids import own_token
from domain.tools.call_record import RecordStatus, hash_of
from domain.tools.catalog import ToolServers

NOT_IN_TIME: Final = "Nobody has answered in time."

TARGET: Final = "."
"""Stands in a pin between the hash of what was offered and the one of where it is called."""

DECIDED: Final = "decided"
"""The stored status of a decision that the waiting turn has not carried out yet: the sweep finds it."""


class Decision(Struct, frozen=True, kw_only=True):
    """Whether a call may be made; `by` is the subject that decided, `at` is in seconds since the epoch.

    Nobody has decided (`by` is empty) what counts as denied because it expired.
    """

    approves: bool
    reason: str
    by: str
    at: float

    def to_document(self) -> dict[str, Any]:
        return {"approves": self.approves, "reason": self.reason, "by": self.by, "at": self.at}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(approves=body["approves"], reason=body["reason"], by=body["by"], at=body["at"])


class Approval(Struct, frozen=True, kw_only=True):
    """A request for an approval of one call. It is decided once.

    `request` is the id of its item, `response` that of the turn that asks. `pin` is the hash of the tool as it was
    offered. Times are seconds since the epoch.

    `waits`: the turn waits in place until it has carried the decision out; `arguments` are kept for those who decide.
    `roles` are the app roles that were asked beside the owner, or with `four_eyes` instead of the owner.
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
    waits: bool = False
    arguments: str = ""
    roles: tuple[str, ...] = ()
    four_eyes: bool = False

    @property
    def status(self) -> str:
        if self.decision and self.waits:
            return DECIDED
        return (RecordStatus.CLOSED if self.decision else RecordStatus.OPEN).value

    @property
    def id(self) -> str:
        return approval_id(self.request)

    def has_expired(self, now: float) -> bool:
        """Tell whether it ended without a decision, which counts as denied."""
        if self.decision:
            return not self.decision.by
        return now >= self.expires_at

    def is_open(self, now: float) -> bool:
        """Tell whether somebody may decide it while its turn waits."""
        return self.waits and self.decision is None and now < self.expires_at

    def binds(self, config: ToolConfig) -> bool:
        """Tell whether a turn offers the tool as it was when its call was asked for."""
        function = config.function_of(self.server, self.tool)
        return function is not None and self.is_pinned(function)

    def is_pinned(self, function: FunctionTool) -> bool:
        """Tell whether a tool is the one whose call was asked for. Earlier releases did not pin its target."""
        pin = pin_of(function)
        return self.pin == (pin if TARGET in self.pin else pin.partition(TARGET)[0])

    def decided(self, decision: Decision) -> "Approval":
        return replace(self, decision=decision)

    def asked_in_place(self, arguments: str, *, roles: Iterable[str], four_eyes: bool) -> "Approval":
        """Return the request of a turn that waits for its decision."""
        return replace(self, waits=True, arguments=arguments, roles=tuple(sorted(roles)), four_eyes=four_eyes)

    def to_document(self) -> dict[str, Any]:
        return {
            **({"waits": True} if self.waits else {}),
            **({"arguments": self.arguments} if self.arguments else {}),
            **({"roles": list(self.roles)} if self.roles else {}),
            **({"four_eyes": True} if self.four_eyes else {}),
            "kind": "approval",
            "v": 1,
            "status": self.status,
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
            waits=body.get("waits", False),
            arguments=body.get("arguments", ""),
            roles=tuple(body.get("roles", ())),
            four_eyes=body.get("four_eyes", False),
        )


def approval_id(request_id: str) -> str:
    return f"approval_{own_token(request_id)}"


def pin_of(function: FunctionTool) -> str:
    """Return the hash of what a tool was offered as, which its caller read, and the one of its target."""
    words = [function.server, function.name, function.description, function.parameters, function.writes]
    offered = hashlib.sha256(json.dumps(words, sort_keys=True).encode(errors="surrogatepass")).hexdigest()[:32]
    return f"{offered}{TARGET}{function.target}" if function.target else offered


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


class Decider(NamedTuple):
    """Whether a caller is the owner of the turn that asks, and whether it may decide."""

    is_owner: bool
    may_decide: bool


def decider_of(approval: Approval, servers: ToolServers, owner: Owner, caller: Owner) -> Decider:
    """Return the part of a caller: the owner decides, or whoever has one of the server's roles in the same tenant.

    The file as it is now decides; with `four_eyes` the owner has no part. Of a server that it has no longer, the owner
    decides.
    """
    server = servers.known.get(approval.server)
    is_owner = (caller.tenant, caller.subject) == (owner.tenant, owner.subject)
    has_role = server is not None and caller.tenant == owner.tenant and not server.approvers.isdisjoint(caller.roles)
    four_eyes = approval.four_eyes or (server is not None and server.four_eyes)
    return Decider(is_owner, not four_eyes if is_owner else has_role)
