"""How does a backend's answer become events in the log?"""

from collections.abc import Sequence

from activities.log_writer import LogWriter
from clients.backends import End, Text
from domain.answers import ending_events, text_events
from domain.continuation import Continuation, after_text, asking_again, at_end, going_on
from domain.ids import member_id, thread_of
from domain.log import Event, Outcome, Usage
from domain.transcript import Transcript, after_event


class Showing:
    """Shows one attempt's answer to the log's readers: what they have seen is not said again."""

    def __init__(self, writer: LogWriter, *, continues: bool) -> None:
        self.writer = writer
        shown = open_text(writer.log)
        self.state: Continuation = going_on(shown) if continues else asking_again(shown)
        self.before = writer.log.pieces if continues and shown else 0
        self.said = 0

    @property
    def partial(self) -> str:
        """The text that the backend is to go on from; empty where it is to begin."""
        return self.state.shown if not self.state.matching else ""

    async def show(self, pieces: Sequence[Text | End]) -> None:
        """Write the new text of these pieces as one slot; look for a successor where nothing is new."""
        text = "".join(piece.text for piece in pieces if isinstance(piece, Text))
        count = sum(isinstance(piece, Text) for piece in pieces)
        self.said += count
        self.state, fresh = after_text(self.state, text)
        events = text_events(self.writer.log, fresh, item_id=self.new_id())
        if events:
            await self.writer.write(events, pieces=count)
        else:
            await self.writer.check()

    async def end(self, outcome: Outcome, *, whole: bool) -> None:
        """Close the answer and leave the outcome with it, in one slot."""
        fresh = at_end(self.state)
        events = text_events(self.writer.log, fresh, item_id=self.new_id())
        log = with_events(self.writer.log, events)
        closing = ending_events(log, item_id=self.new_id(), whole=whole)
        await self.writer.write((*events, *closing), outcome=outcome)

    def usage(self, counted: Usage | None) -> Usage:
        """Return the turn's tokens: what the backend counted and what earlier attempts had shown."""
        own = counted or Usage(output_tokens=self.said)
        return Usage(
            input_tokens=own.input_tokens,
            cached_tokens=own.cached_tokens,
            output_tokens=own.output_tokens + self.before,
            reasoning_tokens=own.reasoning_tokens,
        )

    def new_id(self) -> str:
        thread = thread_of(self.writer.response_id) or ""
        return member_id("msg", thread=thread, token=self.writer.clock.token())


def open_text(log: Transcript) -> str:
    return log.open_item.text if log.open_item else ""


def with_events(log: Transcript, events: tuple[Event, ...]) -> Transcript:
    for event in events:
        log = after_event(log, event)
    return log
