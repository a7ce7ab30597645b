"""How does a client read the stream of a turn, and resume it after it broke?"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field

from openai import APIConnectionError, AsyncOpenAI, AsyncStream
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseCreatedEvent,
    ResponseFailedEvent,
    ResponseIncompleteEvent,
    ResponseStreamEvent,
    ResponseTextDeltaEvent,
)

FinalEvent = ResponseCompletedEvent | ResponseIncompleteEvent | ResponseFailedEvent


class DemoError(Exception):
    """A check of the demo failed; the message states the expectation."""


def check(expectation: str, *, holds: bool) -> None:
    if not holds:
        raise DemoError(f"this does not hold: {expectation}")


@dataclass(slots=True)
class TurnReader:
    """Collects one turn: the number of each event, the text of each item, and the final response."""

    numbers: list[int] = field(default_factory=list[int])
    texts: defaultdict[str, str] = field(default_factory=lambda: defaultdict[str, str](str))
    response_id: str = ""
    final: Response | None = None

    def read(self, event: ResponseStreamEvent) -> str:
        """Records an event and gives its text."""
        self.numbers.append(event.sequence_number)
        if isinstance(event, ResponseCreatedEvent):
            self.response_id = event.response.id
        if isinstance(event, FinalEvent):
            self.final = event.response
        if not isinstance(event, ResponseTextDeltaEvent):
            return ""
        self.texts[event.item_id] += event.delta
        return event.delta

    def checked_response(self) -> Response:
        """Gives the final response; raises DemoError unless numbers, status and text are consistent."""
        if self.final is None:
            raise DemoError("the stream ended without a final event")
        check(f"the turn succeeds (status {self.final.status})", holds=self.final.status in {"completed", "incomplete"})
        check("the numbers have no gap", holds=self.numbers == list(range(len(self.numbers))))
        check("the stored answer is what was streamed", holds=self.final.output_text == self.streamed(self.final))
        check("there is an answer", holds=bool(self.final.output_text.strip()))
        return self.final

    def streamed(self, final: Response) -> str:
        return "".join(self.texts[item.id] for item in final.output if item.type == "message")


async def events_of(stream: AsyncStream[ResponseStreamEvent]) -> AsyncGenerator[ResponseStreamEvent]:
    """Gives the events of a stream until its end or until it breaks."""
    async with stream:
        try:
            async for event in stream:
                yield event
        except APIConnectionError:
            return


async def resumed(client: AsyncOpenAI, reader: TurnReader) -> AsyncIterator[str]:
    """Resumes after the last event until the turn has ended, and gives the further text."""
    while reader.final is None:
        after = reader.numbers[-1]
        stream = await client.responses.retrieve(reader.response_id, stream=True, starting_after=after)
        async for event in events_of(stream):
            yield reader.read(event)
        await asyncio.sleep(0)
