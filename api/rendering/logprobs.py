"""How do log probabilities look in the objects of OpenAI's APIs?"""

from collections.abc import Iterable
from typing import Any

from domain.log.token_logprobs import TokenLogprob, TokenOption


def openai_from_logprobs(tokens: Iterable[TokenLogprob]) -> list[dict[str, Any]]:
    """Return the list that a part of a message, a delta of text and a choice of a chat have in common."""
    return [option(token.chosen) | {"top_logprobs": [option(each) for each in token.options]} for token in tokens]


def option(found: TokenOption) -> dict[str, Any]:
    return {"token": found.token, "logprob": found.logprob, "bytes": list(found.octets)}


def chat_from_logprobs(tokens: Iterable[TokenLogprob]) -> dict[str, Any] | None:
    """Return the log probabilities of a choice; None where it has none."""
    content = openai_from_logprobs(tokens)
    return {"content": content, "refusal": None} if content else None
