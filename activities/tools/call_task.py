"""What does one call have to do?"""

from collections.abc import Mapping
from typing import Any, ClassVar

from activities.tools.turn_watch import TurnWatch
from domain.content.items import Item
from domain.identity.owners import Owner
from domain.tools.approvals import Approval
from domain.tools.call_record import CallOutcome
from domain.tools.catalog import ServerTool, ToolEffect, ToolServer
from domain.tools.outcomes import TURN_ENDED, failed, unknown
from domain.turns.response import Response
from domain.values import Discreet

GRACE_S = 10.0
"""How long a write that is under way may take to report its outcome after its turn has ended."""


class CallTask(Discreet, frozen=True, kw_only=True):
    """One call of one turn, with arguments that match the tool's schema. `watch` tells whether the turn has ended.

    `follows_write`: the turn has called a tool that writes to the same server. `approval` is the request for a call
    that had to be approved. `grant` is a token of the caller, for a server that is called in its name.
    """

    concealed: ClassVar = ("grant",)

    response: Response
    item: Item
    server: ToolServer
    tool: ServerTool
    arguments: Mapping[str, Any]
    watch: TurnWatch
    follows_write: bool = False
    approval: Approval | None = None
    grant: str = ""

    @property
    def owner(self) -> Owner:
        return self.response.owner

    @property
    def place(self) -> tuple[str, str]:
        """The response and the item that the call's record belongs to.

        An approved call is the one that was asked for, however many turns bring its approval.
        """
        if self.approval:
            return self.approval.response, self.approval.request
        return self.response.id, self.item.id

    @property
    def is_write(self) -> bool:
        return self.tool.effect is ToolEffect.WRITE

    @property
    def grace_s(self) -> float:
        return GRACE_S if self.is_write else 0.0


def closed_early(task: CallTask) -> CallOutcome:
    """Return how a call ends whose turn has ended while it ran."""
    return unknown() if task.is_write else failed(TURN_ENDED)
