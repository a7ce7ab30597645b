"""What does one call have to do?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from activities.tools.turn_watch import TurnWatch
from domain.content.items import Item
from domain.identity.owners import Owner
from domain.tools.catalog import ServerTool, ToolEffect, ToolServer
from domain.turns.response import Response

GRACE_S = 10.0
"""How long a write that is under way may take to report its outcome after its turn has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTask:
    """One call of one turn, with arguments that match the tool's schema. `watch` tells whether the turn has ended.

    `follows_write`: the turn has called a tool that writes to the same server.
    """

    response: Response
    item: Item
    server: ToolServer
    tool: ServerTool
    arguments: Mapping[str, Any]
    watch: TurnWatch
    follows_write: bool = False

    @property
    def owner(self) -> Owner:
        return self.response.owner

    @property
    def is_write(self) -> bool:
        return self.tool.effect is ToolEffect.WRITE

    @property
    def grace_s(self) -> float:
        return GRACE_S if self.is_write else 0.0
