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
    """Writes one attempt's answer to the log. Text that is in the log already is not written again.

    `continues`: the backend continues the text in the log, else it begins again. With `schema_tools` the answer is JSON
    that encodes calls of these tools or a text; it is parsed and written when it is complete.
    """

    def __init__(self, writer: LogWriter, *, continues: bool, schema_tools: ToolConfig | None) -> None:
        self.writer = writer
        self.schema_tools = schema_tools
        shown_text = open_text(writer.log)
        is_continued = continues and schema_tools is None
        self.resumed: ResumedText = continue_text(shown_text) if is_continued else repeat_text(shown_text)
        self.earlier_pieces = writer.log.pieces if is_continued and shown_text else 0
        self.pieces = 0
        self.unparsed_text = ""
        self.next_id = self.new_id("msg")

    @property
    def partial(self) -> str:
        """The text that the backend has to continue; empty where it has to begin."""
        return self.resumed.shown if not self.resumed.is_matching else ""

    async def write(self, pieces: Sequence[TextPiece | AnswerEnd]) -> None:
        """Write the new text of these pieces as one slot. Raises Superseded.

        The slot that opens an item counts all pieces of this run.
        """
        text = "".join(piece.text for piece in pieces if isinstance(piece, TextPiece))
        count = sum(isinstance(piece, TextPiece) for piece in pieces)
        self.pieces += count
        events = text_events(self.writer.log, self.new_text(text), item_id=self.item_id())
        if events:
            await self.writer.write(events, pieces=self.pieces if opens_item(events) else count)
        else:
            await self.writer.check_not_superseded()

    def item_id(self) -> str:
        """Return the id of the next item; it changes when an item has used it."""
        items = self.writer.log.items
        if items and items[-1].id == self.next_id:
            self.next_id = self.new_id("msg")
        return self.next_id

    def new_text(self, text: str) -> TextDelta:
        if self.schema_tools:
            self.unparsed_text += text
            return TextDelta(text="")
        self.resumed, delta = after_text(self.resumed, text)
        return delta

    def parsed_answer(self, end: AnswerEnd) -> ParsedAnswer | None:
        """Return what is left to write when the answer has ended; None where it does not match the schema."""
        if self.schema_tools is None:
            return ParsedAnswer(calls=end.calls)
        return parsed_answer(self.unparsed_text, self.schema_tools)

    async def finish(self, outcome: AttemptOutcome, answer: ParsedAnswer, *, is_complete: bool) -> None:
        """Write the rest of the answer and the attempt's outcome as one slot. Raises Superseded."""
        delta = TextDelta(text="")
        if answer.text:
            self.resumed, delta = after_text(self.resumed, answer.text)
        log, text = self.with_text(self.writer.log, delta)
        log, remaining_text = self.with_text(log, at_end(self.resumed))
        has_only_calls = bool(answer.calls) and not log.items
        closing = () if has_only_calls else ending_events(log, item_id=self.new_id("msg"), is_complete=is_complete)
        calls = self.call_events(with_events(log, closing), answer.calls)
        await self.writer.write((*text, *remaining_text, *closing, *calls), outcome=outcome)

    def with_text(self, log: Transcript, delta: TextDelta) -> tuple[Transcript, tuple[LogEvent, ...]]:
        events = text_events(log, delta, item_id=self.new_id("msg"))
        return with_events(log, events), events

    def call_events(self, log: Transcript, calls: Sequence[FunctionCall]) -> tuple[LogEvent, ...]:
        first = len(log.items)
        return tuple(
            event
            for index, call in enumerate(calls, first)
            for event in call_events(index, call, item_id=self.new_id("fc"), call_id=f"call_{self.token()}")
        )

    def turn_usage(self, counted: TokenUsage | None) -> TokenUsage:
        """Return the turn's tokens: those that the backend counted, and those of earlier attempts in the log."""
        usage = counted or TokenUsage(output_tokens=self.pieces)
        return TokenUsage(
            input_tokens=usage.input_tokens,
            cached_tokens=usage.cached_tokens,
            output_tokens=usage.output_tokens + self.earlier_pieces,
            reasoning_tokens=usage.reasoning_tokens,
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
