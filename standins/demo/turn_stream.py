"""How does a client read a turn's stream, and go on after it broke?"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
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
    """Names a promise that was not kept."""


def check(promise: str, *, kept: bool) -> None:
    if not kept:
        raise DemoError(promise)


@dataclass(slots=True)
class TurnReader:
    """What came of one turn: the number of each event, the text of each item, its final response."""

    numbers: list[int] = field(default_factory=list[int])
    texts: defaultdict[str, str] = field(default_factory=lambda: defaultdict[str, str](str))
    response_id: str = ""
    final: Response | None = None

    def read(self, event: ResponseStreamEvent) -> str:
        """Notes an event and gives the text that it brings."""
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
        """Gives the final response, once the numbers, the ending and the text agree."""
        if self.final is None:
            raise DemoError("the stream reaches its end")
        check(f"the turn succeeds, not {self.final.status}", kept=self.final.status in {"completed", "incomplete"})
        check("the numbers have no gap", kept=self.numbers == list(range(len(self.numbers))))
        check("the stored answer is what was streamed", kept=self.final.output_text == self.streamed(self.final))
        check("there is an answer", kept=bool(self.final.output_text.strip()))
        return self.final

    def streamed(self, final: Response) -> str:
        return "".join(self.texts[item.id] for item in final.output if item.type == "message")


async def events_of(stream: AsyncStream[ResponseStreamEvent]) -> AsyncIterator[ResponseStreamEvent]:
    """Gives the events of a stream until its end or until it breaks."""
    async with stream:
        try:
            async for event in stream:
                yield event
        except APIConnectionError:
            return


async def resumed(client: AsyncOpenAI, reading: TurnReader) -> AsyncIterator[str]:
    """Gives the text behind what was read so far, asking again as often as the stream breaks."""
    while reading.final is None:
        after = reading.numbers[-1]
        stream = await client.responses.retrieve(reading.response_id, stream=True, starting_after=after)
        async for event in events_of(stream):
            yield reading.read(event)
        await asyncio.sleep(0)
