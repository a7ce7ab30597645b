"""When is the content of a turn deleted without a request?"""

from typing import Any

from clients.storage.keys import expiry_id
from clients.storage.port import Create, Operation
from domain.identity.owners import Owner
from domain.turns.response import Response

UNSTORED_S = 600
"""A response with `store: false` can be read for this long after its end."""

EXPIRY = "expiry"
DUE = "due"


def expiry_operations(ended: Response) -> tuple[Operation, ...]:
    if ended.options.store or ended.progress.ended_at is None:
        return ()
    return (expiry_operation(ended.owner, ended.id, at=ended.progress.ended_at + UNSTORED_S),)


def expiry_operation(owner: Owner, identifier: str, *, at: float) -> Create:
    """Return what creates the expiry document of a response or conversation: the timer clears it after `at`."""
    body: dict[str, Any] = {
        "kind": EXPIRY,
        "v": 1,
        "status": DUE,
        "at": at,
        "tenant": owner.tenant,
        "subject": owner.subject,
        "of": identifier,
    }
    return Create(id=expiry_id(identifier), body=body)
