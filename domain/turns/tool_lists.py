"""Which lists of tools, and which approved calls, does a turn show at its beginning?"""

from collections.abc import Callable, Iterator, Sequence

from domain.content.items import Item
from domain.content.tools import FunctionCall, OfferedServer
from domain.ids import member_id
from domain.log.answer_events import server_call_events, tool_list_events
from domain.log.events import EventKind, LogEvent, ResponseStatus
from domain.log.item_events import ItemResult
from domain.log.transcript import Transcript
from domain.turns.response import Response


def opening_events(
    response: Response, log: Transcript, approved: Sequence[Item], new_token: Callable[[], str]
) -> tuple[LogEvent, ...]:
    """Return the events with which a turn begins; none where its log began with a copy of another turn's answer."""
    if log.status is not ResponseStatus.QUEUED:
        return ()
    return (LogEvent(kind=EventKind.STARTED), *first_events(response, approved, new_token))


def first_events(response: Response, approved: Sequence[Item], new_token: Callable[[], str]) -> Iterator[LogEvent]:
    """Yield the events of the new lists, and those of the calls that were approved; `approved` are their requests."""
    yield from list_events(response, new_token)
    first = sum(each.is_new for each in response.options.tool_config.servers)
    for index, request in enumerate(approved, first):
        yield from server_call_events(
            index,
            FunctionCall(name=request.name, arguments=request.text, server=request.server),
            item_id=member_id("mcp", thread=response.thread, token=new_token()),
            call_id=f"call_{new_token()}",
            number=0,
            approval=request.request_id,
        )


def list_events(response: Response, new_token: Callable[[], str]) -> Iterator[LogEvent]:
    """Yield the events of the lists that the thread has not shown yet; `new_token` returns 24 hexadecimal digits."""
    new = [each for each in response.options.tool_config.servers if each.is_new]
    for index, server in enumerate(new):
        item_id = member_id("mcpl", thread=response.thread, token=new_token())
        yield from tool_list_events(index, server.label, result_of(server), item_id=item_id)


def result_of(server: OfferedServer) -> ItemResult:
    return ItemResult(output=server.tools, error={"message": server.problem} if server.problem else None)
