"""How many tokens does a request have for each model that may answer it?

Where a model has a tokenizer, it counts; else a backend that is up anyway, or the tokens are estimated. Counting never
wakes a backend.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from msgspec import Struct

from clients.backends.port import BackendCall, BackendError, PromptCounter
from clients.clock import Clock
from clients.tokenizers.port import Tokenizer
from domain.errors import Retryable
from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend, Fleet
from domain.tokens.counts import CountedBy, TokenCount, TokenMeasure, exact_measure, tokens_in_prompt
from domain.tokens.estimates import tokens_in, tokens_in_request
from domain.tokens.prompt_texts import PromptTexts
from state.fleet.backend_state import BackendStates
from state.money.gpu_sessions import GpuSessions

LOADING_S: Final = 5.0
"""How long a request waits for a tokenizer that is being loaded, in seconds, where the estimate may reject it."""

COUNT_S: Final = 0.05
"""How long a request waits for a count, in seconds."""

HOPELESS: Final = 4
"""A prompt with more than so many times the tokens of a window, by estimate, is not counted for its model."""


class TokenCounter(Struct, frozen=True, kw_only=True):
    """Counts with the tokenizers of the models; `tokenizers` has those of the fleet, by model."""

    tokenizers: Mapping[str, Tokenizer]

    async def prepare(self, models: Iterable[str], *, needed: bool) -> None:
        """Load the tokenizers of the models in the background; wait for them where they are needed."""
        found = [self.tokenizers[model] for model in sorted(set(models)) if model in self.tokenizers]
        for tokenizer in found:
            if not tokenizer.is_loaded:
                await tokenizer.loaded(LOADING_S if needed else 0.0)

    def measure(self, model: str) -> TokenMeasure:
        """Return how the texts of a model are measured: exactly where its tokenizer is loaded, else by estimate."""
        tokenizer = self.tokenizers.get(model)
        return exact_measure(tokenizer.count) if tokenizer and tokenizer.is_loaded else tokens_in

    async def count(self, prompt: PromptTexts, windows: Mapping[str, int]) -> Mapping[str, TokenCount]:
        """Return the tokens of a prompt for each model that they can be counted for; `windows` has those to try."""
        measures = {model: self.measure(model) for model in windows}
        exact = [model for model, measure in measures.items() if measure is not tokens_in]
        if not exact:
            return {}
        expected = tokens_in_request(prompt.texts).expected
        return {
            model: TokenCount(
                tokens=await asyncio.to_thread(tokens_in_prompt, prompt, measures[model]),
                counted_by=CountedBy.TOKENIZER,
            )
            for model in exact
            if expected <= HOPELESS * windows[model]
        }


class BackendCounts:
    """Asks backends that are believed to be up; `counters` are those of the backends that can count."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        counters: Mapping[str, PromptCounter],
        backend_states: BackendStates,
        sessions: GpuSessions,
        clock: Clock,
        within_s: float = COUNT_S,
    ) -> None:
        self.able = {name: backend for name, backend in fleet.backends.items() if name in counters}
        self.counters = counters
        self.backend_states = backend_states
        self.sessions = sessions
        self.clock = clock
        self.within_s = within_s

    async def count(self, model: str, call: BackendCall, *, among: Sequence[Backend]) -> int | None:
        """Return the tokens of a prompt; None where no backend of the model is up, or none counts in time.

        Only the backends `among` those that may receive the prompt are asked.
        """
        able = {each.name: each for each in among if each.model == model and each.name in self.able}
        if not able:
            return None
        states = await self.backend_states.read(able)
        for name, backend in able.items():
            if is_surely_up(backend, states[name], self.clock.now()):
                return await self.ask(backend, call)
        return None

    async def ask(self, backend: Backend, call: BackendCall) -> int | None:
        sent_at, tokens = self.clock.now(), None
        try:
            async with asyncio.timeout(self.within_s):
                tokens = await self.counters[backend.name].count(call)
        except BackendError:
            return None
        except TimeoutError:
            await self.record(backend)
        else:
            await self.record(backend)
            if backend.cold_start.scales_to_zero:
                await self.backend_states.record_opening(backend, asked_at=sent_at)
        return tokens

    async def record(self, backend: Backend) -> None:
        """Record a request of the current GPU session: it postpones the end of the machine."""
        with suppress(Retryable):
            await self.sessions.record_ready(backend, self.clock.now())


def is_surely_up(backend: Backend, state: BackendState, now: float) -> bool:
    """Return whether a request finds a machine that runs: one that works, or is in the first half of its idle time.

    Later it may have stopped already, and the request would start it.
    """
    if state.is_failing:
        return False
    if not backend.cold_start.scales_to_zero or state.load.running(now):
        return True
    warm_until = state.warmth.warm_until
    return warm_until is not None and warm_until - now >= backend.cold_start.idle_s / 2
