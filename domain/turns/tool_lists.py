"""Which lists of tools does a turn show at its beginning?"""

from collections.abc import Callable, Iterator

from domain.content.tools import OfferedServer
from domain.ids import member_id
from domain.log.answer_events import tool_list_events
from domain.log.events import LogEvent
from domain.log.item_events import ItemResult
from domain.turns.response import Response


def list_events(response: Response, new_token: Callable[[], str]) -> Iterator[LogEvent]:
    """Yield the events of the lists that the thread has not shown yet; `new_token` returns 24 hexadecimal digits."""
    new = [each for each in response.options.tool_config.servers if each.is_new]
    for index, server in enumerate(new):
        item_id = member_id("mcpl", thread=response.thread, token=new_token())
        yield from tool_list_events(index, server.label, result_of(server), item_id=item_id)


def result_of(server: OfferedServer) -> ItemResult:
    return ItemResult(output=server.tools, error={"message": server.problem} if server.problem else None)
