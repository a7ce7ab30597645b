"""What does a turn show before its model is asked?"""

from collections.abc import Callable
from itertools import count

from domain.content.items import Item, ItemKind
from domain.content.tools import OfferedServer, ToolConfig
from domain.identity.owners import Owner
from domain.log.events import EventKind, LogEvent, ResponseStatus
from domain.log.transcript import Transcript
from domain.turns.response import Response, ResponseOptions
from domain.turns.tool_lists import opening_events

THREAD = "a" * 24
NEW = OfferedServer(label="shop", request={}, tools='[{"name": "pay"}]')
KNOWN = OfferedServer(label="known", request={}, is_new=False)
BROKEN = OfferedServer(label="broken", request={}, problem="The server cannot be reached.")
REQUEST = Item(
    id=f"mcpr_{THREAD}{'c' * 24}", kind=ItemKind.APPROVAL_REQUEST, name="pay", text='{"n": 1}', server="shop"
)


def tokens() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"{next(numbers):024x}"


def opened(*servers: OfferedServer, approved: tuple[Item, ...] = (), log: Transcript | None = None) -> list[LogEvent]:
    response = Response(
        id=f"resp_{THREAD}{'b' * 24}",
        owner=Owner(tenant="t", subject="user:1"),
        created_at=1.0,
        deadline_at=9.0,
        options=ResponseOptions(model="m", tool_config=ToolConfig(servers=servers)),
    )
    return list(opening_events(response, log or Transcript(), approved, tokens()))


def test_a_turn_without_servers_only_starts() -> None:
    assert [each.kind for each in opened()] == [EventKind.STARTED]


def test_a_turn_whose_log_began_with_a_copy_of_an_answer_shows_nothing() -> None:
    for status in (ResponseStatus.IN_PROGRESS, ResponseStatus.COMPLETED):
        assert opened(NEW, approved=(REQUEST,), log=Transcript(status=status)) == []


def test_new_lists_come_first_and_then_the_approved_calls_each_with_an_id_of_its_own() -> None:
    events = opened(KNOWN, NEW, BROKEN, approved=(REQUEST,))
    added = [each for each in events if each.kind is EventKind.ITEM_ADDED]
    headers = [each.header for each in added if each.header]
    assert [(each.output, header.kind, header.server) for each, header in zip(added, headers, strict=True)] == [
        (0, ItemKind.MCP_TOOLS, "shop"),
        (1, ItemKind.MCP_TOOLS, "broken"),
        (2, ItemKind.MCP_CALL, "shop"),
    ]
    ids = [header.id for header in headers]
    assert [each.partition("_")[0] for each in ids] == ["mcpl", "mcpl", "mcp"]
    assert len({*ids, headers[2].call_id.removeprefix("call_")}) == 4
    assert THREAD in ids[0]


def test_an_approved_call_has_the_arguments_and_the_name_of_its_request() -> None:
    events = opened(approved=(REQUEST,))
    (header,) = [each.header for each in events if each.header]
    assert (header.name, header.approval) == ("pay", REQUEST.request_id)
    assert [each.text for each in events if each.kind is EventKind.ARGUMENTS] == ['{"n": 1}']


def test_a_list_that_could_not_be_read_says_why() -> None:
    results = [each.result for each in opened(NEW, BROKEN) if each.result]
    assert [(each.output, each.error) for each in results] == [
        ('[{"name": "pay"}]', None),
        ("[]", {"message": "The server cannot be reached."}),
    ]
