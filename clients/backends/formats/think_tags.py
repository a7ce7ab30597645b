"""Which part of a text that a server did not split is the model's reasoning?

Reasoning models begin their answer with `<think>…</think>`. Some servers leave that in the text. With some chat
templates the opening tag is missing, because it is the end of the prompt.
"""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from copy import replace
from enum import StrEnum
from typing import Final

from clients.backends.port import AnswerEnd, BackendCall, BackendClient, Channel, TextPiece, WithdrawableStream
from domain.content.reasoning import ReasoningFormat
from domain.log.token_logprobs import TokenLogprob, tokens_covering

OPENING, CLOSING = "<think>", "</think>"
IN_TEXT: Final = frozenset({ReasoningFormat.THINK_TAGS, ReasoningFormat.THINK_TAGS_OPEN})
"""The formats that leave reasoning in the text."""


class Place(StrEnum):
    """Where in an answer the text has arrived."""

    BEGINNING = "beginning"
    THINKING = "thinking"
    BETWEEN = "between"
    ANSWER = "answer"


class ThinkTagSplitter:
    """Splits a text that arrives in pieces of any length, which may cut a tag anywhere.

    Only tags before the answer count: an answer may speak of them. White space around reasoning is left out. `is_open`:
    the opening tag was in the prompt.
    """

    def __init__(self, *, is_open: bool = False) -> None:
        self.place = Place.THINKING if is_open else Place.BEGINNING
        self.held = ""
        self.has_thought = False

    def feed(self, text: str) -> Iterator[TextPiece]:
        """Yield what is known of the text so far; the beginning of a tag is held back."""
        self.held += text
        before = None
        while self.held and before != (self.place, self.held):
            before = self.place, self.held
            if self.place is Place.THINKING:
                yield from self.think()
            elif self.place is Place.ANSWER:
                yield TextPiece(text=self.held)
                self.held = ""
            else:
                self.look_for_opening()

    def end(self) -> Iterator[TextPiece]:
        """Yield what was held back when the answer ends."""
        match self.place:
            case Place.THINKING:
                rest = self.held.rstrip() if self.has_thought else self.held.strip()
            case Place.BETWEEN:
                rest = self.held.strip()
            case _:
                rest = self.held
        self.held = ""
        if rest:
            channel = Channel.REASONING if self.place is Place.THINKING else Channel.ANSWER
            yield TextPiece(text=rest, channel=channel)

    def answer_only(self) -> None:
        """Take all of the text for the answer: the server splits the reasoning itself."""
        self.place = Place.ANSWER

    def look_for_opening(self) -> None:
        """Find out whether reasoning or the answer begins."""
        text = self.held.lstrip()
        if text.startswith(OPENING):
            self.place, self.held = Place.THINKING, text.removeprefix(OPENING)
        elif not OPENING.startswith(text):
            self.held = text if self.place is Place.BETWEEN else self.held
            self.place = Place.ANSWER

    def think(self) -> Iterator[TextPiece]:
        thought, tag, rest = self.held.partition(CLOSING)
        known = thought if tag else thought[: len(thought) - len(beginning_of_tag(thought))]
        shown = known.rstrip() if self.has_thought else known.strip()
        if shown:
            self.has_thought = True
            yield TextPiece(text=shown, channel=Channel.REASONING)
        if tag:
            self.place, self.held, self.has_thought = Place.BETWEEN, rest, False
        elif shown:
            self.held = self.held[known.rindex(shown) + len(shown) :]


def beginning_of_tag(text: str) -> str:
    """Return the longest end of a text with which the closing tag begins."""
    sizes = range(min(len(CLOSING) - 1, len(text)), 0, -1)
    return next((text[-size:] for size in sizes if CLOSING.startswith(text[-size:])), "")


class SplitStream(AsyncIterator[TextPiece | AnswerEnd]):
    """The pieces of an answer, with its reasoning in a channel of its own."""

    def __init__(self, inner: AsyncIterator[TextPiece | AnswerEnd], splitter: ThinkTagSplitter) -> None:
        self.inner = inner
        self.splitter = splitter
        self.ready: deque[TextPiece | AnswerEnd] = deque()
        self.reasoning_pieces = 0
        self.logprobs: tuple[TokenLogprob, ...] = ()

    async def __anext__(self) -> TextPiece | AnswerEnd:
        while not self.ready:
            self.ready.extend(self.split(await anext(self.inner)))
        return self.ready.popleft()

    def split(self, piece: TextPiece | AnswerEnd) -> list[TextPiece | AnswerEnd]:
        if isinstance(piece, AnswerEnd):
            rest = self.with_logprobs(self.splitter.end())
            self.count(rest)
            return [*rest, self.with_reasoning(piece)]
        if piece.channel is not Channel.ANSWER:
            self.splitter.answer_only()
            return [piece]
        self.logprobs += piece.logprobs
        pieces = self.with_logprobs(self.splitter.feed(piece.text))
        self.logprobs = tokens_covering(self.logprobs, self.splitter.held)
        self.count(pieces)
        return list(pieces)

    def with_logprobs(self, pieces: Iterable[TextPiece]) -> list[TextPiece]:
        """Return the pieces with the log probabilities of the answer's text, which is last."""
        return [
            replace(piece, logprobs=tokens_covering(self.logprobs, piece.text))
            if piece.channel is Channel.ANSWER
            else piece
            for piece in pieces
        ]

    def count(self, pieces: list[TextPiece]) -> None:
        self.reasoning_pieces += sum(piece.channel is Channel.REASONING for piece in pieces)

    def with_reasoning(self, end: AnswerEnd) -> AnswerEnd:
        """Return the end with one token for each piece of reasoning, where the server did not count these."""
        if end.usage is None or end.usage.reasoning_tokens:
            return end
        counted = min(self.reasoning_pieces, end.usage.output_tokens)
        return replace(end, usage=replace(end.usage, reasoning_tokens=counted))

    def withdraw(self) -> None:
        if isinstance(self.inner, WithdrawableStream):
            self.inner.withdraw()


class ThinkTagBackend:
    """A backend whose server leaves the reasoning of its model in the text."""

    def __init__(self, inner: BackendClient, reasoning: ReasoningFormat) -> None:
        self.inner = inner
        self.reasoning = reasoning

    @asynccontextmanager
    async def stream(self, call: BackendCall) -> AsyncGenerator[AsyncIterator[TextPiece | AnswerEnd]]:
        """Open the stream of an answer. One that is continued has ended its reasoning before."""
        is_open = self.reasoning is ReasoningFormat.THINK_TAGS_OPEN and not call.partial
        async with self.inner.stream(call) as pieces:
            yield SplitStream(pieces, ThinkTagSplitter(is_open=is_open))

    async def authenticate(self) -> None:
        await self.inner.authenticate()

    async def probe(self) -> None:
        await self.inner.probe()


def with_reasoning_split(client: BackendClient, reasoning: ReasoningFormat) -> BackendClient:
    """Return the client, or one that splits the reasoning from its texts."""
    return ThinkTagBackend(client, reasoning) if reasoning in IN_TEXT else client
