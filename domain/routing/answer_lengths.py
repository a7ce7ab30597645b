"""How long will an answer be? Learned by model, from the thread, else from its owner, else from the tenant.

Each keeps the lengths of its last answers, so old habits are forgotten. The mean is what to expect, for costs grow with
the length; nineteen of twenty answers are no longer than the high quantile.
"""

import math
from collections.abc import Mapping, Sequence
from copy import replace
from typing import Any, Final, NamedTuple, Self

from msgspec import Struct, field

KEPT: Final = 32
"""The number of answers that are remembered for each model."""

ENOUGH: Final = 3
"""So many answers say more than the wider scope."""

ENOUGH_OF_OWNER: Final = 8
"""An owner with so many answers teaches the tenant no more: one document for all of a busy tenant would be a queue."""

MOST_THREADS: Final = 16
"""The number of threads of an owner that are remembered, the latest ones."""

HIGH: Final = 0.95

CACHE_S: Final = 300.0
"""A prompt cache is trusted for this long after its last use. OpenAI: prompts are cached for 5 to 10 minutes."""


class AnswerLength(NamedTuple):
    """Output tokens of an answer: the mean and a high quantile."""

    mean: int
    high: int


class CachedPrefix(NamedTuple):
    """What a backend has of a thread in its prompt cache: `tokens` is an estimate."""

    backend: str
    tokens: int


class LastCall(NamedTuple):
    """The last call of a thread: its backend, its input and output tokens, and when it ended.

    `share` is how much of the call before it the backend read from its cache, from 0 to 1.
    """

    backend: str
    tokens: int
    share: float
    at: float

    def cached(self, now: float) -> CachedPrefix | None:
        """Return what the next call finds in the cache, if the thread continues as before."""
        tokens = round(self.tokens * self.share)
        return CachedPrefix(self.backend, tokens) if tokens and now - self.at <= CACHE_S else None


class TurnForecast(NamedTuple):
    """What is expected of a turn: the length of its answer by model, and its cached input."""

    answers: Mapping[str, AnswerLength]
    cached: CachedPrefix | None


class AnswerLengths(Struct, frozen=True, kw_only=True):
    """The lengths of the last answers in tokens, by model.

    `threads` has those of each thread, `calls` its last call.
    """

    models: Mapping[str, Sequence[int]] = field(default_factory=dict[str, Sequence[int]])
    threads: Mapping[str, Mapping[str, Sequence[int]]] = field(default_factory=dict[str, Mapping[str, Sequence[int]]])
    calls: Mapping[str, LastCall] = field(default_factory=dict[str, LastCall])

    def with_answer(self, model: str, tokens: int, *, thread: str = "") -> Self:
        models = with_length(self.models, model, tokens)
        if not thread:
            return replace(self, models=models)
        others = [name for name in self.threads if name != thread][-(MOST_THREADS - 1) :]
        own = with_length(self.threads.get(thread, {}), model, tokens)
        threads = {**{name: self.threads[name] for name in others}, thread: own}
        calls = {name: call for name, call in self.calls.items() if name in threads}
        return replace(self, models=models, threads=threads, calls=calls)

    def with_call(self, thread: str, *, backend: str, tokens: int, cached: int, at: float) -> Self:
        """Add the call of a thread that has an answer."""
        last = self.calls.get(thread)
        share = min(1.0, cached / last.tokens) if last and last.tokens and last.backend == backend else 0.0
        return replace(self, calls={**self.calls, thread: LastCall(backend, tokens, round(share, 3), at)})

    def to_document(self) -> dict[str, Any]:
        """Return the document. A field of a later release is left out while it has no value."""
        later = {"calls": {thread: list(call) for thread, call in self.calls.items()}} if self.calls else {}
        return {
            **later,
            "models": {name: list(known) for name, known in self.models.items()},
            "threads": {
                thread: {name: list(known) for name, known in models.items()} for thread, models in self.threads.items()
            },
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        calls = {thread: LastCall(*call) for thread, call in body.get("calls", {}).items()}
        return cls(models=body["models"], threads=body["threads"], calls=calls)


def with_length(models: Mapping[str, Sequence[int]], model: str, tokens: int) -> Mapping[str, Sequence[int]]:
    return {**models, model: (*models.get(model, ()), tokens)[-KEPT:]}


def forecast(owner: AnswerLengths, tenant: AnswerLengths, thread: str) -> Mapping[str, AnswerLength]:
    """Return the expected answer by model, for the models of which enough answers are known."""
    scopes = (owner.threads.get(thread, {}), owner.models, tenant.models)
    found: dict[str, AnswerLength] = {}
    for scope in reversed(scopes):
        found |= {model: length_of(lengths) for model, lengths in scope.items() if len(lengths) >= ENOUGH}
    return found


def length_of(lengths: Sequence[int]) -> AnswerLength:
    ordered = sorted(lengths)
    return AnswerLength(round(sum(ordered) / len(ordered)), ordered[math.ceil(HIGH * len(ordered)) - 1])
