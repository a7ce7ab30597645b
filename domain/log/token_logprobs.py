"""How likely did the model find each token of its answer, and which tokens did it consider most likely?"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Self, cast

from msgspec import Struct

LEAST_LOGPROB: Final = -9999.0
"""Stands for a probability of 0, whose logarithm JSON has no number for. OpenAI and vLLM send the same."""

MOST_OPTIONS: Final = 20
"""The most tokens that are listed for one position, as in both APIs of OpenAI."""

MOST_TOKEN_BYTES: Final = 1024
"""The longest token that is kept. The tokens of known vocabularies have up to a few hundred bytes."""


MOST_DOCUMENT_BYTES: Final = 500_000
"""How many bytes of log probabilities are written to the log at once: a quarter of what a store takes."""


class TokenOption(NamedTuple):
    """A token and the natural logarithm of its probability.

    `octets` are its bytes: they can be a part of a character, which `token` then has no text for.
    """

    token: str
    logprob: float
    octets: bytes

    def to_document(self) -> list[Any]:
        """Return the token, its number and, where they are not those of its text, its bytes in hexadecimal form."""
        has_own_octets = self.octets != self.token.encode()
        return [self.token, self.logprob, *([self.octets.hex()] if has_own_octets else [])]

    @classmethod
    def from_document(cls, body: Sequence[Any]) -> Self:
        token, logprob, *octets = body
        return cls(token, float(logprob), bytes.fromhex(octets[0]) if octets else token.encode())


class TokenLogprob(Struct, frozen=True, kw_only=True):
    """A token of an answer, and the most likely tokens at its position, which need not contain it."""

    chosen: TokenOption
    options: tuple[TokenOption, ...] = ()

    @property
    def size(self) -> int:
        """A bound of the bytes that it takes in a stored document, in which a byte has up to six characters."""
        return sum(6 * len(each.token.encode()) + 2 * len(each.octets) + 48 for each in (self.chosen, *self.options))

    def to_document(self) -> list[Any]:
        return [self.chosen.to_document(), *(option.to_document() for option in self.options)]

    @classmethod
    def from_document(cls, body: Sequence[Any]) -> Self:
        chosen, *options = body
        read = TokenOption.from_document
        return cls(chosen=read(chosen), options=tuple(read(option) for option in options))


def tokens_covering(tokens: Sequence[TokenLogprob], text: str) -> tuple[TokenLogprob, ...]:
    """Return the last of the tokens, as many as it takes to cover a text at their end.

    A token that has only a part of the text is one of them.
    """
    left, first = len(text.encode()), len(tokens)
    while left > 0 and first > 0:
        first -= 1
        left -= len(tokens[first].chosen.octets)
    return tuple(tokens[first:])


def texts_of_tokens(text: str, tokens: Sequence[TokenLogprob]) -> Sequence[tuple[str, tuple[TokenLogprob, ...]]]:
    """Cut a text into those of its tokens; a character of several tokens stays whole.

    A text that is not exactly that of its tokens stays whole too, and loses those that a document has no room for.
    """
    if b"".join(token.chosen.octets for token in tokens) != text.encode():
        is_storable = sum(token.size for token in tokens) <= MOST_DOCUMENT_BYTES
        return [(text, tuple(tokens) if is_storable else ())]
    cut: list[tuple[str, tuple[TokenLogprob, ...]]] = []
    octets, first = b"", 0
    for at, token in enumerate(tokens):
        octets += token.chosen.octets
        if is_whole(octets):
            cut.append((octets.decode(), tuple(tokens[first : at + 1])))
            octets, first = b"", at + 1
    return cut


def is_whole(octets: bytes) -> bool:
    """Tell whether the bytes are a text without a character that is cut off."""
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return bool(octets)


def logprobs_in(choice: Mapping[str, Any]) -> tuple[TokenLogprob, ...]:
    """Return the log probabilities in a choice of Chat Completions; none where they are missing or malformed."""
    logprobs = choice.get("logprobs")
    content = cast("dict[str, Any]", logprobs).get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list):
        return ()
    tokens = [token_in(each) for each in cast("list[Any]", content)]
    return () if None in tokens else tuple(token for token in tokens if token)


def token_in(body: Any) -> TokenLogprob | None:
    chosen = option_in(body)
    listed: Any = body.get("top_logprobs") or () if chosen else ()
    if chosen is None or not isinstance(listed, list | tuple):
        return None
    options = [option_in(each) for each in cast("Iterable[Any]", listed)]
    return TokenLogprob(chosen=chosen, options=tuple(option for option in options if option)[:MOST_OPTIONS])


def option_in(body: Any) -> TokenOption | None:
    """Return a token with its number; None where it is malformed, too long or no number that JSON has."""
    match body:
        case {"token": str(token), "logprob": float() | int() as logprob, **rest} if logprob <= -LEAST_LOGPROB:
            text = token.encode(errors="replace").decode()
            octets = octets_in(rest.get("bytes"), text)
            is_long = max(len(text.encode()), len(octets or b"")) > MOST_TOKEN_BYTES
            known = None if is_long else octets
            return None if known is None else TokenOption(text, float(max(logprob, LEAST_LOGPROB)) + 0.0, known)
        case _:
            return None


def octets_in(values: Any, text: str) -> bytes | None:
    """Return the bytes that a server lists for a token; those of its text where it lists none."""
    if values is None:
        return text.encode()
    try:
        return bytes(cast("list[int]", values)) if isinstance(values, list) else None
    except (TypeError, ValueError):
        return None
