"""How many tokens does a text have by a model's `tokenizer.json`?

The library `tokenizers` is optional (requirements-tokenizers.txt). It is imported, and the file read, in a thread at
the first use: both take some 0.1 to 1 s, and the app's start must not wait for them.
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Final, Protocol

logger = logging.getLogger("ganglion.tokenizers")

REMEMBERED: Final = 8192
"""The texts whose counts are kept: a conversation is read again in each of its turns. Each takes some 150 bytes."""

PIECE: Final = 65536
"""The characters that are tokenized at once, for bounded memory (some 100 bytes a token). A cut adds one at most."""

LIBRARY_MISSING: Final = (
    "the library tokenizers is not installed; install requirements-tokenizers.txt (make package TOKENIZERS=1), or"
    " remove 'tokenizer' from the fleet file"
)


class Encoding(Protocol):
    def __len__(self) -> int: ...


class Encoder(Protocol):
    """The part of the library's `Tokenizer` that counts. It releases the interpreter's lock meanwhile."""

    def encode_batch_fast(self, input: Sequence[str], *, add_special_tokens: bool) -> Sequence[Encoding]: ...  # noqa: A002 - the library's name


class TokenizerFile:
    """Counts with a file. Where it can't be loaded, one warning says why, and nothing is counted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = Lock()
        self.loading: Future[Encoder] | None = None
        self.known = OrderedDict[bytes, int]()

    @property
    def is_loaded(self) -> bool:
        return self.loading is not None and self.loading.done() and self.loading.exception() is None

    def begin_loading(self) -> None:
        with self.lock:
            if self.loading is None:
                thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokenizer")
                self.loading = thread.submit(load, self.path)
                self.loading.add_done_callback(self.report)
                thread.shutdown(wait=False)

    def report(self, loading: Future[Encoder]) -> None:
        if reason := problem_of(loading.exception()):
            logger.warning("tokenizer %s cannot be loaded (%s): the tokens are estimated", self.path, reason)

    async def problem(self, within_s: float) -> str:
        """Return why it can't be loaded; empty where it can."""
        if await self.loaded(within_s) or self.loading is None:
            return ""
        return problem_of(self.loading.exception()) if self.loading.done() else f"not loaded after {within_s:g} s"

    async def loaded(self, within_s: float) -> bool:
        self.begin_loading()
        if within_s and self.loading is not None and not self.loading.done():
            await asyncio.wait([asyncio.wrap_future(self.loading)], timeout=within_s)
        return self.is_loaded

    def count(self, text: str) -> int:
        key = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()
        with self.lock:
            if key in self.known:
                self.known.move_to_end(key)
                return self.known[key]
        tokens = self.tokens(text)
        with self.lock:
            self.known[key] = tokens
            if len(self.known) > REMEMBERED:
                self.known.popitem(last=False)
        return tokens

    def tokens(self, text: str) -> int:
        self.begin_loading()
        assert self.loading is not None  # noqa: S101 - it has just begun, at the latest
        encoder = self.loading.result()
        clean = text.encode(errors="replace").decode()
        pieces = (clean[start : start + PIECE] for start in range(0, len(clean), PIECE))
        return sum(len(encoder.encode_batch_fast([piece], add_special_tokens=False)[0]) for piece in pieces)


def problem_of(error: BaseException | None) -> str:
    if error is None:
        return ""
    return LIBRARY_MISSING if isinstance(error, ImportError) else str(error)[:200]


def load(path: Path) -> Encoder:
    """Return the tokenizer of a file. Raises ImportError without the library, and its errors for a wrong file."""
    from tokenizers import Tokenizer  # noqa: PLC0415 - optional, and it takes 0.1 s to import

    return Tokenizer.from_file(str(path))
