"""Which calls of an answer are run by the server, and which log events show them?"""

from collections.abc import Callable, Sequence
from copy import replace

from msgspec import Struct

from domain.content.items import ItemStatus
from domain.content.tools import FunctionCall
from domain.ids import Prefix
from domain.log.answer_events import (
    approval_request_events,
    call_end_events,
    call_events,
    search_events,
    server_call_events,
)
from domain.log.events import CALLS, AttemptOutcome, LogEvent
from domain.log.item_events import ItemResult
from domain.sources.file_search import SEARCH_SERVER
from domain.tools.outcomes import EXECUTION
from domain.tools.rounds import MAX_TOOL_CALLS, REACHED

MOST_ASKED = 64
"""A turn asks for so many approvals at most: they are recorded in one commit with its end."""


class PlannedCalls(Struct, frozen=True, kw_only=True):
    """The events of an answer's calls. `run` are the item ids of those that the server runs, `asked` those of requests.

    `has_server_calls`: some are calls of servers' tools, run or not. `has_functions`: some are the caller's functions.
    """

    events: tuple[LogEvent, ...]
    run: tuple[str, ...]
    asked: tuple[str, ...]
    has_server_calls: bool
    has_functions: bool

    def named_in(self, outcome: AttemptOutcome) -> AttemptOutcome:
        """Return the outcome of the attempt with its calls.

        Another round follows where the server has some. The turn ends after it where only its caller can go on.
        """
        if not self.has_server_calls:
            return outcome
        return replace(outcome, result=CALLS, calls=self.run, hands_back=self.has_functions or bool(self.asked))


def never(_call: FunctionCall) -> bool:
    """Ask for no approval."""
    return False


def planned_calls(
    calls: Sequence[FunctionCall],
    *,
    asks: Callable[[FunctionCall], bool],
    first: int,
    round_number: int,
    most: int,
    new_id: Callable[[Prefix], str],
    new_token: Callable[[], str],
) -> PlannedCalls:
    """Plan calls; `first` is the index of the first one.

    The server runs those that it does not ask for. It runs and asks for `most` at most, and for MOST_ASKED.
    """
    has_server_calls = any(call.server for call in calls)
    number = round_number if has_server_calls else 0
    events: list[LogEvent] = []
    run: list[str] = []
    asked: list[str] = []
    for index, call in enumerate(calls, first):
        call_id = f"call_{new_token()}"
        if not call.server:
            events += call_events(index, call, item_id=new_id("fc"), call_id=call_id, number=number)
            continue
        is_within, needs_approval = len(run) + len(asked) < most, asks(call)
        is_within = is_within and not (needs_approval and len(asked) >= MOST_ASKED)
        if is_within and needs_approval:
            asked.append(new_id("mcpr"))
            events += approval_request_events(index, call, item_id=asked[-1], call_id=call_id, number=number)
            continue
        is_search = call.server == SEARCH_SERVER
        item_id = new_id("fs" if is_search else "mcp")
        opening = search_events if is_search else server_call_events
        events += opening(index, call, item_id=item_id, call_id=call_id, number=number)
        if is_within:
            run.append(item_id)
        else:
            events += call_end_events(index, NOT_RUN, ItemStatus.FAILED)
    return PlannedCalls(
        events=tuple(events),
        run=tuple(run),
        asked=tuple(asked),
        has_server_calls=has_server_calls,
        has_functions=any(not call.server for call in calls),
    )


NOT_RUN = ItemResult(error={"type": EXECUTION, "content": REACHED[MAX_TOOL_CALLS]})
