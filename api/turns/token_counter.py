"""How many tokens does a request have for each model that may answer it?

Where a model has a tokenizer, it counts; else the tokens are estimated. Counting never wakes a backend.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from clients.tokenizers.port import Tokenizer
from domain.tokens.counts import CountedBy, TokenCount, TokenMeasure, exact_measure, tokens_in_prompt
from domain.tokens.estimates import tokens_in, tokens_in_request
from domain.tokens.prompt_texts import PromptTexts

LOADING_S: Final = 5.0
"""How long a request waits for a tokenizer that is being loaded, in seconds, where the estimate may reject it."""

HOPELESS: Final = 4
"""A prompt with more than so many times the tokens of a window, by estimate, is not counted for its model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCounter:
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
