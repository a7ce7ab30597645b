"""How does a backend's answer become events in the log?"""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from activities.inference.answer_logprobs import AnswerLogprobs, Tokens, storable
from activities.inference.log_writer import LogWriter
from clients.backends.port import AnswerEnd, Channel, TextPiece
from domain.content.answer_formats import format_problem
from domain.content.items import ItemKind, ItemStatus
from domain.content.schema_tool_calls import ParsedAnswer, parsed_answer
from domain.content.tools import FunctionCall, ToolConfig
from domain.ids import Prefix, member_id, thread_of
from domain.log.answer_events import ending_events, reasoning_events, refusal_events, text_events
from domain.log.events import AttemptOutcome, LogEvent, TokenUsage
from domain.log.resume_text import ResumedText, TextDelta, after_text, at_end, continue_text, repeat_text
from domain.log.transcript import Transcript, after_event, closing_events, opens_answer
from domain.tools.planned_calls import PlannedCalls, never, planned_calls


class AnswerWriter:
    """Writes one attempt's answer to the log. What is in the log already is not written again.

    `tools` are those of the turn. `continues`: the backend continues the text in the log, else it begins again. With
    `schema_tools` the answer is JSON that encodes calls of these tools or a text; it is parsed and written when it is
    complete. Of calls of servers' tools, `calls_left` are run; `asks` tells
    which of them need an approval first. Reasoning that comes after the beginning of the text is
    written after the message. A message in the log that has a text and a refusal is replaced, not repeated. The caller
    asked for the log probabilities of each token and of `top_logprobs` options; None means for none.
    """

    def __init__(
        self,
        writer: LogWriter,
        *,
        tools: ToolConfig,
        continues: bool,
        schema_tools: ToolConfig | None,
        calls_left: int = 0,
        asks: Callable[[FunctionCall], bool] = never,
        top_logprobs: int | None = None,
    ) -> None:
        self.writer = writer
        self.tools = tools
        self.schema_tools = schema_tools
        self.calls_left = calls_left
        self.asks = asks
        self.logprobs = AnswerLogprobs(top_logprobs)
        shown_text = open_text(writer.log)
        is_continued = continues and schema_tools is None
        self.resumed: ResumedText = continue_text(shown_text) if is_continued else repeat_text(shown_text)
        self.resumed_reasoning = repeat_text(open_reasoning(writer.log))
        self.resumed_refusal = repeat_text(open_refusal(writer.log))
        self.replaces_message = has_text_and_refusal(writer.log)
        self.repeats_text = bool(shown_text)
        self.goes_on = is_continued and bool(shown_text)
        self.pieces = 0
        self.reasoning_pieces = 0
        self.is_refusing = False
        self.late_reasoning = ""
        self.unparsed_text = ""
        self.earlier_pieces = writer.log.pieces
        self.next_ids: dict[Prefix, str] = {}

    @property
    def partial(self) -> str:
        """The text that the backend has to continue; empty where it has to begin."""
        return self.resumed.shown if not self.resumed.is_matching else ""

    @property
    def has_text(self) -> bool:
        """Tell whether the log has an open text, apart from reasoning and refusals."""
        return bool(open_text(self.writer.log))

    def shown_tokens(self, counted: TokenUsage | None) -> int:
        """Return how many tokens the answer of this round has, whose text is in the log."""
        usage = self.answer_usage(counted)
        return usage.output_tokens - usage.reasoning_tokens

    async def write(self, pieces: Sequence[TextPiece | AnswerEnd]) -> None:
        """Write the new text of these pieces as one slot, or as several where their log probabilities need it.

        Raises Superseded, and BackendError where there should be log probabilities.
        """
        texts = [piece for piece in pieces if isinstance(piece, TextPiece)]
        self.logprobs.check(texts)
        for part in storable(texts):
            await self.write_slot(part)

    async def write_slot(self, texts: Sequence[TextPiece]) -> None:
        """Write the new text of these pieces. The slot that begins an answer counts all pieces of this run."""
        self.pieces += len(texts)
        self.reasoning_pieces += sum(piece.channel is Channel.REASONING for piece in texts)
        events = self.new_events(texts)
        if events:
            is_new_answer = opens_answer(self.writer.log, events)
            await self.writer.write(events, pieces=self.pieces if is_new_answer else len(texts))
        else:
            await self.writer.check_not_superseded()

    def new_events(self, pieces: Sequence[TextPiece]) -> tuple[LogEvent, ...]:
        log, events = self.writer.log, tuple[LogEvent, ...]()
        for channel, group in groupby(pieces, key=lambda piece: piece.channel):
            new = tuple(self.channel_events(log, channel, tuple(group)))
            log, events = with_events(log, new), (*events, *new)
        return events

    def channel_events(self, log: Transcript, channel: Channel, pieces: Sequence[TextPiece]) -> Iterator[LogEvent]:
        """Yield the events of the next text of a channel. What follows a refusal belongs to it."""
        text = "".join(piece.text for piece in pieces)
        if channel is Channel.REASONING:
            yield from self.next_reasoning(log, text)
            return
        ended = self.end_of_reasoning(log)
        self.resumed_reasoning = continue_text("")
        replaced = (*ended, *self.end_of_message(with_events(log, ended)))
        self.replaces_message = False
        yield from replaced
        log = with_events(log, replaced)
        if channel is Channel.REFUSAL or self.is_refusing:
            yield from self.next_refusal(log, text)
        else:
            delta = self.new_text(text, self.logprobs.of(pieces))
            yield from text_events(log, delta, item_id=self.item_id(log, "msg"))

    def next_reasoning(self, log: Transcript, text: str) -> tuple[LogEvent, ...]:
        """Return the events of reasoning. Readers have that of the text which this run repeats or continues."""
        if log.open_item and log.open_item.kind is ItemKind.MESSAGE:
            self.late_reasoning += "" if self.repeats_text else text
            return ()
        self.resumed_reasoning, delta = after_text(self.resumed_reasoning, text)
        return reasoning_events(log, delta, item_id=self.item_id(log, "rs"))

    def next_refusal(self, log: Transcript, text: str) -> tuple[LogEvent, ...]:
        """Return the events of a refusal. It replaces a text in the log that this run has not repeated."""
        self.is_refusing = True
        replaced = self.end_of_text(log)
        self.resumed = continue_text("")
        log = with_events(log, replaced)
        if not open_refusal(log):
            self.resumed_refusal = continue_text("")
        self.resumed_refusal, delta = after_text(self.resumed_refusal, text)
        return (*replaced, *refusal_events(log, delta, item_id=self.item_id(log, "msg")))

    def end_of_text(self, log: Transcript) -> tuple[LogEvent, ...]:
        """Return the events that replace the text in the log where this run has repeated less than all of it."""
        repeated = self.logprobs.ended(at_end(self.resumed))
        if repeated.text:
            return text_events(log, repeated, item_id=self.item_id(log, "msg"))
        return closing_events(log, ItemStatus.INCOMPLETE) if repeated.starts_new_item else ()

    def end_of_reasoning(self, log: Transcript) -> tuple[LogEvent, ...]:
        """Return the events that replace the reasoning in the log where this run's ended earlier than that."""
        return reasoning_events(log, at_end(self.resumed_reasoning), item_id=self.item_id(log, "rs"))

    def end_of_message(self, log: Transcript) -> tuple[LogEvent, ...]:
        return closing_events(log, ItemStatus.INCOMPLETE) if self.replaces_message else ()

    def item_id(self, log: Transcript, prefix: Prefix) -> str:
        """Return the id of the next item of a kind; it changes when an item has used it."""
        used = any(item.id == self.next_ids.get(prefix) for item in log.items)
        if used or prefix not in self.next_ids:
            self.next_ids[prefix] = self.new_id(prefix)
        return self.next_ids[prefix]

    def new_text(self, text: str, tokens: Tokens) -> TextDelta:
        if self.schema_tools:
            self.unparsed_text += text
            return TextDelta(text="")
        self.resumed, delta = after_text(self.resumed, text)
        return self.logprobs.added(delta, tokens)

    def parsed_answer(self, end: AnswerEnd) -> ParsedAnswer | None:
        """Return what is left to write when the answer has ended; None where it does not match the schema."""
        if self.schema_tools is None:
            return ParsedAnswer(calls=end.calls)
        is_refusal = self.is_refusing and not self.unparsed_text
        return ParsedAnswer() if is_refusal else parsed_answer(self.unparsed_text, self.schema_tools)

    def format_problem(self, answer: ParsedAnswer) -> str:
        """Return what is wrong with the format of the complete answer.

        A refusal has no format, and neither has the text beside calls: the answer follows their results.
        """
        if self.is_refusing or answer.calls:
            return ""
        log, _ = self.with_rest(answer)
        return format_problem(open_text(log), self.tools.format)

    async def finish(self, outcome: AttemptOutcome, answer: ParsedAnswer, *, is_complete: bool) -> AttemptOutcome:
        """Write the rest of the answer and the attempt's outcome, which names the calls to run, as one slot.

        Raises Superseded.
        """
        log, text = self.with_rest(answer)
        named = [self.tools.named(call) for call in answer.calls]
        allowed = [call for call in named if not call.server or (is_complete and self.tools.may_call(call))]
        ended = ending_events(log, item_id=self.new_id("msg"), is_complete=is_complete, has_calls=bool(allowed))
        log = with_events(log, ended)
        late = TextDelta(text=self.late_reasoning)
        reasoning = reasoning_events(log, late, item_id=self.new_id("rs"))
        log = with_events(log, reasoning)
        closed = closing_events(log, ItemStatus.COMPLETED)
        calls = self.planned_calls(with_events(log, closed), allowed)
        outcome = calls.named_in(outcome)
        await self.writer.write((*text, *ended, *reasoning, *closed, *calls.events), outcome=outcome)
        return outcome

    def with_rest(self, answer: ParsedAnswer) -> tuple[Transcript, tuple[LogEvent, ...]]:
        """Return the log with what is not in it yet, and the events of that."""
        log, reasoning = self.writer.log, self.end_of_reasoning(self.writer.log)
        log = with_events(log, reasoning)
        replaced = self.end_of_message(log)
        log = with_events(log, replaced)
        resumed, delta = self.resumed, TextDelta(text="")
        if answer.text:
            resumed, delta = after_text(resumed, answer.text)
        log, text = self.with_text(log, delta)
        log, remaining_text = self.with_text(log, self.logprobs.ended(at_end(resumed)))
        rest = at_end(self.resumed_refusal) if self.is_refusing else TextDelta(text="")
        refusal = refusal_events(log, rest, item_id=self.item_id(log, "msg"))
        return with_events(log, refusal), (*reasoning, *replaced, *text, *remaining_text, *refusal)

    def with_text(self, log: Transcript, delta: TextDelta) -> tuple[Transcript, tuple[LogEvent, ...]]:
        events = text_events(log, delta, item_id=self.new_id("msg"))
        return with_events(log, events), events

    def planned_calls(self, log: Transcript, calls: Sequence[FunctionCall]) -> PlannedCalls:
        """Plan the calls of the answer, which are named as the caller names them."""
        return planned_calls(
            calls,
            asks=self.asks,
            first=len(log.items),
            round_number=self.writer.log.rounds + 1,
            most=self.calls_left,
            new_id=self.new_id,
            new_token=self.token,
        )

    def turn_usage(self, counted: TokenUsage | None) -> TokenUsage:
        """Return the turn's tokens: those that the backend counted, and those of earlier attempts and rounds.

        The input of an answer counts once, even where it is read again to continue the answer.
        """
        usage = counted or TokenUsage(output_tokens=self.pieces, reasoning_tokens=self.reasoning_pieces)
        log, capped = self.writer.log, self.writer.log.capped if self.goes_on else None
        before = capped or log.used or TokenUsage()
        has_input = capped is not None and capped.input_tokens > 0
        return TokenUsage(
            input_tokens=before.input_tokens + (0 if has_input else usage.input_tokens),
            cached_tokens=before.cached_tokens + (0 if has_input else usage.cached_tokens),
            output_tokens=before.output_tokens + usage.output_tokens + (self.earlier_pieces if self.goes_on else 0),
            reasoning_tokens=before.reasoning_tokens + usage.reasoning_tokens,
            written_tokens=before.written_tokens + (0 if has_input else usage.written_tokens),
        )

    def answer_usage(self, counted: TokenUsage | None) -> TokenUsage:
        """Return the tokens of the answer of this round."""
        turn, used = self.turn_usage(counted), self.writer.log.used or TokenUsage()
        return TokenUsage(
            input_tokens=turn.input_tokens - used.input_tokens,
            cached_tokens=turn.cached_tokens - used.cached_tokens,
            output_tokens=turn.output_tokens - used.output_tokens,
            reasoning_tokens=turn.reasoning_tokens - used.reasoning_tokens,
            written_tokens=turn.written_tokens - used.written_tokens,
        )

    def new_id(self, prefix: Prefix) -> str:
        return member_id(prefix, thread=thread_of(self.writer.response_id) or "", token=self.token())

    def token(self) -> str:
        return self.writer.clock.token()


def open_text(log: Transcript) -> str:
    """Return the text of the open message; a message that has become a refusal is not continued."""
    item = log.open_item
    return item.text if item and item.kind is ItemKind.MESSAGE and not item.refusal else ""


def open_reasoning(log: Transcript) -> str:
    item = log.open_item
    return item.text if item and item.kind is ItemKind.REASONING else ""


def open_refusal(log: Transcript) -> str:
    return log.open_item.refusal if log.open_item else ""


def has_text_and_refusal(log: Transcript) -> bool:
    return bool(log.open_item and log.open_item.text and log.open_item.refusal)


def with_events(log: Transcript, events: tuple[LogEvent, ...]) -> Transcript:
    for event in events:
        log = after_event(log, event)
    return log
