"""How does a backend's answer become events in the log?"""

from collections.abc import Sequence

from activities.inference.log_writer import LogWriter
from clients.backends.port import AnswerEnd, TextPiece
from domain.content.schema_tool_calls import ParsedAnswer, parsed_answer
from domain.content.tools import FunctionCall, ToolConfig
from domain.ids import Prefix, member_id, thread_of
from domain.log.answer_events import call_events, ending_events, text_events
from domain.log.events import AttemptOutcome, LogEvent, TokenUsage
from domain.log.resume_text import ResumedText, TextDelta, after_text, at_end, continue_text, repeat_text
from domain.log.transcript import Transcript, after_event, opens_item


class AnswerWriter:
    """Shows one attempt's answer to the log's readers: what they have seen is not said again.

    With `by_schema` the answer is JSON that stands for calls or a text; it is shown when it is whole.
    """

    def __init__(self, writer: LogWriter, *, continues: bool, by_schema: ToolConfig | None = None) -> None:
        self.writer = writer
        self.by_schema = by_schema
        shown = open_text(writer.log)
        goes_on = continues and by_schema is None
        self.state: ResumedText = continue_text(shown) if goes_on else repeat_text(shown)
        self.before = writer.log.pieces if goes_on and shown else 0
        self.said = 0
        self.unread = ""
        self.next_id = self.new_id("msg")

    @property
    def partial(self) -> str:
        """The text that the backend is to go on from; empty where it is to begin."""
        return self.state.shown if not self.state.matching else ""

    async def show(self, pieces: Sequence[TextPiece | AnswerEnd]) -> None:
        """Write the new text of these pieces as one slot; look for a successor where nothing is new.

        An item that opens holds everything that this run has said.
        """
        text = "".join(piece.text for piece in pieces if isinstance(piece, TextPiece))
        count = sum(isinstance(piece, TextPiece) for piece in pieces)
        self.said += count
        events = text_events(self.writer.log, self.fresh(text), item_id=self.item_id())
        if events:
            await self.writer.write(events, pieces=self.said if opens_item(events) else count)
        else:
            await self.writer.check()

    def item_id(self) -> str:
        """Return an id that no item has yet; the same until one has it."""
        items = self.writer.log.items
        if items and items[-1].id == self.next_id:
            self.next_id = self.new_id("msg")
        return self.next_id

    def fresh(self, text: str) -> TextDelta:
        if self.by_schema:
            self.unread += text
            return TextDelta(text="")
        self.state, fresh = after_text(self.state, text)
        return fresh

    def whole_answer(self, end: AnswerEnd) -> ParsedAnswer | None:
        """Return what is left to show when the answer has ended; None where it is not of its form."""
        if self.by_schema is None:
            return ParsedAnswer(calls=end.calls)
        return parsed_answer(self.unread, self.by_schema)

    async def end(self, outcome: AttemptOutcome, said: ParsedAnswer, *, whole: bool) -> None:
        """Close the answer and leave the outcome with it, in one slot."""
        self.state, told = after_text(self.state, said.text) if said.text else (self.state, TextDelta(text=""))
        log, events = self.with_text(self.writer.log, told)
        log, rest = self.with_text(log, at_end(self.state))
        closing = () if said.calls and not log.items else ending_events(log, item_id=self.new_id("msg"), whole=whole)
        called = self.call_events(with_events(log, closing), said.calls)
        await self.writer.write((*events, *rest, *closing, *called), outcome=outcome)

    def with_text(self, log: Transcript, fresh: TextDelta) -> tuple[Transcript, tuple[LogEvent, ...]]:
        events = text_events(log, fresh, item_id=self.new_id("msg"))
        return with_events(log, events), events

    def call_events(self, log: Transcript, calls: Sequence[FunctionCall]) -> tuple[LogEvent, ...]:
        first = len(log.items)
        return tuple(
            event
            for index, call in enumerate(calls, first)
            for event in call_events(index, call, item_id=self.new_id("fc"), call_id=f"call_{self.token()}")
        )

    def usage(self, counted: TokenUsage | None) -> TokenUsage:
        """Return the turn's tokens: what the backend counted and what earlier attempts had shown."""
        own = counted or TokenUsage(output_tokens=self.said)
        return TokenUsage(
            input_tokens=own.input_tokens,
            cached_tokens=own.cached_tokens,
            output_tokens=own.output_tokens + self.before,
            reasoning_tokens=own.reasoning_tokens,
        )

    def new_id(self, prefix: Prefix) -> str:
        return member_id(prefix, thread=thread_of(self.writer.response_id) or "", token=self.token())

    def token(self) -> str:
        return self.writer.clock.token()


def open_text(log: Transcript) -> str:
    return log.open_item.text if log.open_item else ""


def with_events(log: Transcript, events: tuple[LogEvent, ...]) -> Transcript:
    for event in events:
        log = after_event(log, event)
    return log
