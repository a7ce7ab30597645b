"""How does a process hear many streams at once and note when each word came?"""

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import ClientSession

STAMP = re.compile(rb"\d{10}\.\d{6}")
TEXT = (b"output_text.delta", b'"content"')


@dataclass(slots=True, kw_only=True)
class HeardStream:
    """When each word of a stream was said and when it came, in seconds since the epoch, and how long the first took."""

    words: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    first_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardStreams:
    """Readers of `through` the application and, to know what the machine itself adds, `straight` of the model."""

    through: list[HeardStream]
    straight: list[HeardStream]

    @property
    def window(self) -> tuple[float, float]:
        """When all were speaking, in seconds since the epoch."""
        every = [*self.through, *self.straight]
        return max(each.words[0][1] for each in every), min(each.words[-1][1] for each in every)

    def lags_ms(self, heard: list[HeardStream]) -> list[float]:
        start, end = self.window
        return [1000 * (came - said) for each in heard for said, came in each.words if start <= came <= end]


class Readers:
    """Readers that begin one after the other and stop together, when all have heard words for `spoken_s` seconds."""

    def __init__(self, http: ClientSession, *, through: str, straight: str, spoken_s: float) -> None:
        self.http = http
        self.through = through
        self.straight = straight
        self.spoken_s = spoken_s
        self.silent = 0
        self.enough = asyncio.Event()

    async def hear(self, streams: int, *, straight: int, gap_s: float) -> HeardStreams:
        """Begin a stream every `gap_s` seconds."""
        self.silent = streams + straight
        async with asyncio.TaskGroup() as group:
            heard = [group.create_task(self.ask(number, number * gap_s)) for number in range(streams)]
            beside = [group.create_task(self.ask_model()) for _ in range(straight)]
        return HeardStreams(through=[task.result() for task in heard], straight=[task.result() for task in beside])

    async def ask(self, number: int, after_s: float) -> HeardStream:
        await asyncio.sleep(after_s)
        body = {"model": "scripted@scripted", "input": f"stream {number}", "stream": True, "max_output_tokens": 1000}
        return await self.listen(self.through, body)

    async def ask_model(self) -> HeardStream:
        return await self.listen(self.straight, {"model": "scripted", "messages": [], "stream": True})

    async def listen(self, url: str, body: Mapping[str, object]) -> HeardStream:
        heard, rest, asked = HeardStream(), b"", time.perf_counter()
        async with self.http.post(url, json=body) as answer:
            assert answer.status == 200, await answer.text()
            async for chunk in answer.content.iter_any():
                now = time.time()  # noqa: TID251 - compared with the model's own clock
                *lines, rest = (rest + chunk).split(b"\n\n")
                stamps = [stamp for line in lines for stamp in stamps_in(line)]
                if stamps and not heard.words:
                    heard.first_s = time.perf_counter() - asked
                    self.begun()
                heard.words += [(stamp, now) for stamp in stamps]
                if self.enough.is_set():
                    return heard
        raise AssertionError("a stream ended before all had spoken for long enough")

    def begun(self) -> None:
        self.silent -= 1
        if not self.silent:
            asyncio.get_running_loop().call_later(self.spoken_s, self.enough.set)


def stamps_in(line: bytes) -> list[float]:
    """Return the times that a frame of text holds, of the API's own stream or of the model's."""
    return [float(stamp) for stamp in STAMP.findall(line)] if any(sign in line for sign in TEXT) else []
