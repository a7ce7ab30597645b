"""How does one process read many streams at once and record the arrival of each word?"""

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
    """The sending and arrival time of each word, in Unix seconds, and the seconds until the first word."""

    words: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    first_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardStreams:
    """Streams read `through` the application and `straight` from the model, which show the machine's own delay."""

    through: list[HeardStream]
    straight: list[HeardStream]

    @property
    def window(self) -> tuple[float, float]:
        """The time in which all streams carried words, in Unix seconds."""
        every = [*self.through, *self.straight]
        return max(each.words[0][1] for each in every), min(each.words[-1][1] for each in every)

    def lags_ms(self, heard: list[HeardStream]) -> list[float]:
        start, end = self.window
        return [1000 * (came - sent) for each in heard for sent, came in each.words if start <= came <= end]


class Readers:
    """Readers that start one after the other and stop together, after all have read words for `spoken_s` seconds."""

    def __init__(self, http: ClientSession, *, through: str, straight: str, spoken_s: float) -> None:
        self.http = http
        self.through = through
        self.straight = straight
        self.spoken_s = spoken_s
        self.silent = 0
        self.enough = asyncio.Event()

    async def hear(self, streams: int, *, straight: int, gap_s: float) -> HeardStreams:
        """Start a stream every `gap_s` seconds."""
        self.silent = streams + straight
        async with asyncio.TaskGroup() as group:
            heard = [group.create_task(self.ask(number, number * gap_s)) for number in range(streams)]
            direct = [group.create_task(self.ask_model()) for _ in range(straight)]
        return HeardStreams(through=[task.result() for task in heard], straight=[task.result() for task in direct])

    async def ask(self, number: int, after_s: float) -> HeardStream:
        await asyncio.sleep(after_s)
        body = {"model": "scripted@scripted", "input": f"stream {number}", "stream": True, "max_output_tokens": 1000}
        return await self.listen(self.through, body)

    async def ask_model(self) -> HeardStream:
        return await self.listen(self.straight, {"model": "scripted", "messages": [], "stream": True})

    async def listen(self, url: str, body: Mapping[str, object]) -> HeardStream:
        heard, rest, started = HeardStream(), b"", time.perf_counter()
        async with self.http.post(url, json=body) as answer:
            assert answer.status == 200, await answer.text()
            async for chunk in answer.content.iter_any():
                now = time.time()  # noqa: TID251 - compared with the model's own clock
                *lines, rest = (rest + chunk).split(b"\n\n")
                stamps = [stamp for line in lines for stamp in stamps_in(line)]
                if stamps and not heard.words:
                    heard.first_s = time.perf_counter() - started
                    self.count_first_word()
                heard.words += [(stamp, now) for stamp in stamps]
                if self.enough.is_set():
                    return heard
        raise AssertionError("a stream ended before all streams had carried words for long enough")

    def count_first_word(self) -> None:
        self.silent -= 1
        if not self.silent:
            asyncio.get_running_loop().call_later(self.spoken_s, self.enough.set)


def stamps_in(line: bytes) -> list[float]:
    """Return the times in a text frame of the API's stream or of the model's."""
    return [float(stamp) for stamp in STAMP.findall(line)] if any(sign in line for sign in TEXT) else []
