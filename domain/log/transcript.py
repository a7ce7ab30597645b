"""What is the state of a response after the events of its log so far?"""

from collections.abc import Iterable, Mapping, Sequence
from copy import replace
from typing import Final

from msgspec import Struct, field

from domain.content.items import SERVER_CALLS, Item, ItemKind, ItemStatus
from domain.content.result_images import as_images
from domain.log.events import CALLS, AttemptOutcome, Ending, EventKind, LogEvent, ResponseStatus, Slot, TokenUsage
from domain.log.item_events import ItemResult
from domain.log.token_logprobs import TokenLogprob


class Transcript(Struct, frozen=True, kw_only=True):
    """The state that results from a log. Every view of a response derives from it; `pieces` is of the last answer.

    `rounds` counts the rounds of calls that the model asked for; `used` are the tokens of these rounds. Where the
    present answer has reached its cap and is continued, `capped` are the tokens of the turn until then, and `pieces`
    counts from there. `logprobs` are those of the messages, by the id of the item.
    """

    status: ResponseStatus = ResponseStatus.QUEUED
    items: tuple[Item, ...] = ()
    ending: Ending | None = None
    next_slot: int = 0
    next_sequence: int = 0
    writer: str = ""
    pieces: int = 0
    outcome: AttemptOutcome | None = None
    last_at: float = 0.0
    rounds: int = 0
    used: TokenUsage | None = None
    capped: TokenUsage | None = None
    logprobs: Mapping[str, tuple[TokenLogprob, ...]] = field(default_factory=dict[str, tuple[TokenLogprob, ...]])

    @property
    def usage(self) -> TokenUsage | None:
        """The tokens of the turn as backends counted them; without their count, one for each piece of the answer."""
        if self.outcome and self.outcome.usage and not self.outcome.capped:
            return self.outcome.usage
        if self.capped is None and not self.pieces:
            return None
        counted = self.capped or TokenUsage()
        return replace(counted, output_tokens=counted.output_tokens + self.pieces)

    @property
    def open_item(self) -> Item | None:
        """The item that is still being written, if any: always the last."""
        last = self.items[-1] if self.items else None
        return last if last and last.status is ItemStatus.IN_PROGRESS else None


def after_event(transcript: Transcript, event: LogEvent) -> Transcript:
    """Apply one event and count its sequence number."""
    counted = replace(transcript, next_sequence=transcript.next_sequence + 1)
    match event.kind:
        case EventKind.STARTED:
            return replace(counted, status=ResponseStatus.IN_PROGRESS)
        case EventKind.ITEM_ADDED if event.header:
            return replace(counted, items=(*counted.items, opened_item(event)))
        case EventKind.TEXT | EventKind.ARGUMENTS | EventKind.CALL_ENDED | EventKind.ITEM_DONE:
            return with_item(counted, event)
        case EventKind.ENDED if event.ending:
            return replace(counted, status=event.ending.status, ending=event.ending)
        case _:
            return counted


def opened_item(event: LogEvent) -> Item:
    header = event.header
    if header is None:
        raise ValueError("an item_added event needs a header")
    return Item(
        id=header.id,
        kind=header.kind,
        name=header.name,
        call_id=header.call_id,
        status=ItemStatus.IN_PROGRESS,
        namespace=header.namespace,
        is_custom=header.is_custom,
        server=header.server,
        round=header.round,
        text=event.text,
        approval=header.approval,
        approves=header.approves,
    )


def with_item(transcript: Transcript, event: LogEvent) -> Transcript:
    """Apply an event to the item that it names: calls that run in parallel interleave."""
    items, at = transcript.items, event.output
    changed = replace(transcript, items=(*items[:at], changed_item(items[at], event), *items[at + 1 :]))
    if not event.logprobs:
        return changed
    known = transcript.logprobs.get(items[at].id, ())
    return replace(changed, logprobs={**transcript.logprobs, items[at].id: (*known, *event.logprobs)})


def changed_item(item: Item, event: LogEvent) -> Item:
    if event.kind is EventKind.ITEM_DONE:
        return replace(item, status=event.status or ItemStatus.COMPLETED)
    if event.result:
        result = event.result
        images = as_images(result.images)
        return replace(item, output=result.output, error=result.error, whole=result.whole, images=images)
    if event.is_refusal:
        return replace(item, refusal=item.refusal + event.text)
    return replace(item, text=item.text + event.text)


def after_slot(transcript: Transcript, slot: Slot) -> Transcript:
    """Apply a slot; raises ValueError where it does not follow the last slot."""
    if (slot.number, slot.first) != (transcript.next_slot, transcript.next_sequence):
        raise ValueError(f"slot {slot.number} does not follow slot {transcript.next_slot - 1}")
    is_new_answer = opens_answer(transcript, slot.events)
    for event in slot.events:
        transcript = after_event(transcript, event)
    ends_round = slot.outcome is not None and slot.outcome.result == CALLS
    is_capped = slot.outcome is not None and slot.outcome.capped is not None and slot.outcome.usage is not None
    capped = None if is_new_answer or ends_round else transcript.capped
    return replace(
        transcript,
        rounds=transcript.rounds + ends_round,
        used=slot.outcome.usage if slot.outcome and ends_round else transcript.used,
        capped=slot.outcome.usage if slot.outcome and is_capped else capped,
        next_slot=slot.number + 1,
        writer=slot.writer,
        pieces=0 if is_capped else slot.pieces + (0 if is_new_answer else transcript.pieces),
        outcome=slot.outcome or transcript.outcome,
        last_at=slot.at,
    )


def opens_item(events: Iterable[LogEvent]) -> bool:
    return any(event.kind is EventKind.ITEM_ADDED for event in events)


def opens_answer(transcript: Transcript, events: Sequence[LogEvent]) -> bool:
    """Tell whether an answer begins with these events: an item opens, and not after the reasoning of the answer."""
    if not opens_item(events):
        return False
    for event in events:
        if event.kind is EventKind.ITEM_ADDED and not has_reasoned(transcript):
            return True
        transcript = after_event(transcript, event)
    return False


def has_reasoned(transcript: Transcript) -> bool:
    last = transcript.items[-1] if transcript.items else None
    return last is not None and last.kind is ItemKind.REASONING and last.status is ItemStatus.COMPLETED


def read_log(slots: Iterable[Slot], start: Transcript | None = None) -> Transcript:
    """Apply slots in order to `start` (default: the empty log)."""
    transcript = start or Transcript()
    for slot in slots:
        transcript = after_slot(transcript, slot)
    return transcript


BROKEN_OFF: Final = "The answer broke off, and no backend could continue it."


def whole_ending(transcript: Transcript, ending: Ending) -> Ending:
    """Return the ending of a turn; it fails where its text broke off in an attempt that gave no answer."""
    last, item = transcript.outcome, transcript.open_item
    is_broken = last and last.result not in {"done", CALLS} and item and item.kind is ItemKind.MESSAGE and item.text
    if ending.status is not ResponseStatus.COMPLETED or not last or not is_broken:
        return ending
    return replace(ending, status=ResponseStatus.FAILED, code="server_error", message=last.message or BROKEN_OFF)


def closing_events(transcript: Transcript, status: ItemStatus) -> tuple[LogEvent, ...]:
    """Return the events that close the open items: a message, or calls that have not ended."""
    opened = [(at, item) for at, item in enumerate(transcript.items) if item.status is ItemStatus.IN_PROGRESS]
    return tuple(event for at, item in opened for event in closing_events_of(item, at, status))


def closing_events_of(item: Item, index: int, status: ItemStatus) -> tuple[LogEvent, ...]:
    done = LogEvent(kind=EventKind.ITEM_DONE, output=index, status=status)
    match item.kind:
        case ItemKind.FUNCTION_CALL:
            return (LogEvent(kind=EventKind.ARGUMENTS_DONE, output=index), done)
        case ItemKind.MCP_CALL | ItemKind.FILE_SEARCH:
            ended = LogEvent(kind=EventKind.CALL_ENDED, output=index, result=ItemResult(error=UNFINISHED))
            return (ended, replace(done, status=ItemStatus.INCOMPLETE))
        case _:
            return (*part_closing_events(index, is_refusal=bool(item.refusal)), done)


UNFINISHED: Final = {
    "type": "mcp_tool_execution_error",
    "content": "The response ended before the result of this call was recorded.",
}


def part_closing_events(index: int, *, is_refusal: bool = False) -> tuple[LogEvent, LogEvent]:
    """Return the events that close the text of an item, or its refusal."""
    return (
        LogEvent(kind=EventKind.TEXT_DONE, output=index, is_refusal=is_refusal),
        LogEvent(kind=EventKind.PART_DONE, output=index, is_refusal=is_refusal),
    )


ROUND_ENDS: Final = SERVER_CALLS | {ItemKind.APPROVAL_REQUEST, ItemKind.APPROVAL_RESPONSE}
"""The items after which another round begins."""


def kept_items(transcript: Transcript) -> tuple[Item, ...]:
    """Return the items that the conversation keeps. Where an answer was restarted, only its last message is kept.

    A turn has an answer in each round; the calls of tools that the server ran end a round. Reasoning that was cut off
    is kept only where nothing follows it.
    """
    dropped = {item.id for item in transcript.items[:-1] if is_interrupted_reasoning(item)}
    message = ""
    for item in transcript.items:
        if item.kind in ROUND_ENDS:
            message = ""
        elif item.kind is ItemKind.MESSAGE:
            dropped |= {message} - {""}
            message = item.id
    return tuple(item for item in transcript.items if item.id not in dropped)


def is_interrupted_reasoning(item: Item) -> bool:
    return item.kind is ItemKind.REASONING and item.status is ItemStatus.INCOMPLETE


def last_message_text(transcript: Transcript) -> str:
    """Return the text that came with the last calls; empty where they came alone."""
    kept = [item for item in kept_items(transcript) if item.kind is not ItemKind.REASONING]
    while kept and (kept[-1].kind is ItemKind.FUNCTION_CALL or kept[-1].kind in ROUND_ENDS):
        kept.pop()
    return kept[-1].text if kept and kept[-1].kind is ItemKind.MESSAGE else ""


def items_of_rounds(transcript: Transcript) -> tuple[Item, ...]:
    """Return the items of the rounds before the present one, which a model reads after the turn's input."""
    items = kept_items(transcript)
    ends = [at for at, item in enumerate(items, 1) if item.kind in ROUND_ENDS]
    return items[: max(ends, default=0)]
