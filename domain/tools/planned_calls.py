"""Which calls of an answer are run by the server, and which log events show them?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from domain.content.items import ItemStatus
from domain.content.tools import FunctionCall
from domain.log.answer_events import call_end_events, call_events, server_call_events
from domain.log.events import CALLS, AttemptOutcome, LogEvent
from domain.log.item_events import ItemResult
from domain.tools.outcomes import EXECUTION
from domain.tools.rounds import MAX_TOOL_CALLS, REACHED


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCalls:
    """The events of an answer's calls. `run` are the item ids of those that the server runs.

    `has_server_calls`: some are calls of servers' tools, run or not. `has_functions`: some are the caller's functions.
    """

    events: tuple[LogEvent, ...]
    run: tuple[str, ...]
    has_server_calls: bool
    has_functions: bool

    def named_in(self, outcome: AttemptOutcome) -> AttemptOutcome:
        """Return the outcome of the attempt with its calls: another round follows where the server has some."""
        if not self.has_server_calls:
            return outcome
        return replace(outcome, result=CALLS, calls=self.run, hands_back=self.has_functions)


def planned_calls(
    calls: Sequence[tuple[FunctionCall, str]], *, first: int, round_number: int, most: int, new_token: Callable[[], str]
) -> PlannedCalls:
    """Plan calls with the ids of their items; `first` is the index of the first one. The server runs `most` at most."""
    has_server_calls = any(call.server for call, _ in calls)
    number = round_number if has_server_calls else 0
    events: list[LogEvent] = []
    run: list[str] = []
    for index, (call, item_id) in enumerate(calls, first):
        call_id = f"call_{new_token()}"
        if not call.server:
            events += call_events(index, call, item_id=item_id, call_id=call_id, number=number)
            continue
        events += server_call_events(index, call, item_id=item_id, call_id=call_id, number=number)
        if len(run) < most:
            run.append(item_id)
        else:
            events += call_end_events(index, NOT_RUN, ItemStatus.FAILED)
    return PlannedCalls(
        events=tuple(events),
        run=tuple(run),
        has_server_calls=has_server_calls,
        has_functions=any(not call.server for call, _ in calls),
    )


NOT_RUN = ItemResult(error={"type": EXECUTION, "content": REACHED[MAX_TOOL_CALLS]})
