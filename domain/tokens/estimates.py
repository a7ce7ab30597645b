"""How many tokens is this text, how much memory do they take, and do they fit?

Where no tokenizer of the model is at hand (`domain.tokens.counts`), sizes are estimated from UTF-8 bytes.

- The ceiling is one token a byte: every tokenizer served here works on bytes (byte-level BPE, SentencePiece with byte
  fallback), and each of its tokens covers at least one byte.
- The expected figure weighs each class of byte. The weights are a least-squares fit to the tokenizer of SmolLM2 (49,152
  entries, so it cuts finer than those of larger models, with 128,000 to 200,000) on English, eight other languages,
  code, JSON, Markdown, tables and addresses.
- The likely figure is what natural text stays under: see `LIKELY_FACTOR`. Windows are judged by it, for the ceiling
  would leave three quarters of them unused; money is reserved by the ceiling, which no text can exceed.
"""

import math
from collections.abc import Callable, Iterable
from typing import Final

from msgspec import Struct

from domain.fleet.catalog import BackendLimits, Model

LOWER: Final = bytes(range(ord("a"), ord("z") + 1))
UPPER: Final = bytes(range(ord("A"), ord("Z") + 1))
DIGITS: Final = b"0123456789"
SPACE: Final = b" \t\r\n"
BEYOND_ASCII: Final = bytes(range(128, 256))

WEIGHTS: Final = ((LOWER, 0.24), (UPPER, 0.41), (DIGITS, 1.0), (SPACE, 0.08), (BEYOND_ASCII, 0.57))
SIGN_WEIGHT: Final = 0.78
"""What is left: punctuation and control characters."""

LIKELY_FACTOR: Final = 1.5
"""Of 400 text files of a Debian system (code, documentation, data) 99 % have at most 1.48 times the expected tokens;
German prose has 1.48, random letters and base64, the worst case, have 1.8 to 2.6."""

BYTES_PER_TOKEN: Final = 4
"""The bytes that each token of private data is reserved with: rows never have more bytes than this for a token."""

MESSAGE_TOKENS: Final = 8
"""What a chat template adds to a message: 5 in ChatML and Llama 3 (markers, role, line ends); the rest is margin."""

REQUEST_TOKENS: Final = 40
"""What a template adds once: 25 for SmolLM2 (its own system message and the opening of the answer), measured; some 30
for Llama 3 (its two dates)."""

USABLE_MEMORY: Final = 0.9
"""The share of a GPU's memory for weights and cache; vLLM's default `gpu_memory_utilization`."""

BYTES_IN_GB: Final = 10**9


class TokenEstimate(Struct, frozen=True, kw_only=True):
    """A text's size in tokens: what to expect, what natural text stays under, and what no text can pass."""

    expected: int = 0
    likely: int = 0
    ceiling: int = 0

    def __add__(self, other: "TokenEstimate") -> "TokenEstimate":
        return TokenEstimate(
            expected=self.expected + other.expected,
            likely=self.likely + other.likely,
            ceiling=self.ceiling + other.ceiling,
        )


def tokens_in(text: str) -> TokenEstimate:
    """Estimate the tokens of one text. Time is linear in its length."""
    data = text.encode(errors="surrogatepass")
    rest = data
    weighed = 0.0
    for members, weight in WEIGHTS:
        others = rest.translate(None, members)
        weighed += weight * (len(rest) - len(others))
        rest = others
    weighed += SIGN_WEIGHT * len(rest)
    return TokenEstimate(
        expected=min(math.ceil(weighed), len(data)),
        likely=min(math.ceil(weighed * LIKELY_FACTOR), len(data)),
        ceiling=len(data),
    )


def tokens_in_request(texts: Iterable[str], measure: Callable[[str], TokenEstimate] = tokens_in) -> TokenEstimate:
    """Measure a whole request: one text a message (a tool's definition counts as a message of its JSON)."""
    total = TokenEstimate(expected=REQUEST_TOKENS, likely=REQUEST_TOKENS, ceiling=REQUEST_TOKENS)
    overhead = TokenEstimate(expected=MESSAGE_TOKENS, likely=MESSAGE_TOKENS, ceiling=MESSAGE_TOKENS)
    for text in texts:
        total = total + measure(text) + overhead
    return total


def kv_bytes_per_token(model: Model, *, value_bytes: float = 2) -> float | None:
    """Return 2 (a key and a value) x layers x kv_heads x head_dim x bytes a value; None where the shape is unknown.

    The formula of grouped-query attention: https://arxiv.org/abs/2305.13245, section 2.
    """
    if model.layers is None or model.kv_heads is None or model.head_dim is None:
        return None
    return 2 * model.layers * model.kv_heads * model.head_dim * value_bytes


def memory_gb(model: Model, tokens: int, *, value_bytes: float = 2) -> float | None:
    """Return the gigabytes (10^9 bytes) of weights and of the cache of one request; None where the shape is unknown."""
    per_token = kv_bytes_per_token(model, value_bytes=value_bytes)
    if per_token is None or model.weights_gb is None:
        return None
    return model.weights_gb + per_token * tokens / BYTES_IN_GB


def usable_gb(limits: BackendLimits) -> float | None:
    return None if limits.gpu_memory_gb is None else limits.gpu_memory_gb * USABLE_MEMORY


def kv_tokens(model: Model, limits: BackendLimits) -> int | None:
    """Return the tokens of KV memory that the GPU has beside the weights; None where memory or shape is unknown.

    At least one whole context window: vLLM does not start with less ("To serve at least one request ..."). Layers with
    a sliding window or compressed values need less than the formula says.
    """
    have, per_token = usable_gb(limits), kv_bytes_per_token(model, value_bytes=limits.kv_value_bytes)
    if have is None or per_token is None or model.weights_gb is None:
        return None
    if have <= model.weights_gb:
        return None
    window = min(limits.context_tokens, model.context_tokens)
    return max(window, int((have - model.weights_gb) * BYTES_IN_GB / per_token))


def fits(model: Model, limits: BackendLimits, tokens: int) -> bool:
    """Tell whether one request of so many tokens fits the GPU. Where memory or shape is unknown, it does."""
    have = usable_gb(limits)
    if have is None:
        return True
    need = memory_gb(model, tokens, value_bytes=limits.kv_value_bytes)
    return need is None or need <= have
