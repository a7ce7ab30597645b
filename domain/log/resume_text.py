"""How does a stream continue after an attempt failed in the middle of an answer?

A backend that cannot continue a partial answer generates it again from the start. Text that repeats the shown text
is dropped. At the first difference, the shown item is closed as incomplete and the new answer starts a new item.
"""

from copy import replace

from msgspec import Struct

from domain.log.token_logprobs import TokenLogprob


class ResumedText(Struct, frozen=True, kw_only=True):
    """`shown` is the text that readers have seen; the new answer has repeated its first `matched` characters."""

    shown: str
    matched: int = 0

    @property
    def is_matching(self) -> bool:
        return self.matched < len(self.shown)


class TextDelta(Struct, frozen=True, kw_only=True):
    """New text. `starts_new_item` is true where the answer differs from the shown text."""

    text: str
    starts_new_item: bool = False
    logprobs: tuple[TokenLogprob, ...] = ()


def continue_text(shown: str) -> ResumedText:
    """Start with a backend that continues `shown`: all of its text is new."""
    return ResumedText(shown=shown, matched=len(shown))


def repeat_text(shown: str) -> ResumedText:
    """Start with a backend that repeats the answer: text that matches `shown` is dropped."""
    return ResumedText(shown=shown)


def after_text(before: ResumedText, text: str) -> tuple[ResumedText, TextDelta]:
    """Apply the next text of the backend; return the new state and the part that is new."""
    if not before.is_matching:
        return before, TextDelta(text=text)
    rest = before.shown[before.matched :]
    if rest.startswith(text):
        return replace(before, matched=before.matched + len(text)), TextDelta(text="")
    if text.startswith(rest):
        return replace(before, matched=len(before.shown)), TextDelta(text=text[len(rest) :])
    return continue_text(""), TextDelta(text=before.shown[: before.matched] + text, starts_new_item=True)


def at_end(before: ResumedText) -> TextDelta:
    """Return the last delta. An answer that ends before the shown text does is a different answer."""
    if before.is_matching:
        return TextDelta(text=before.shown[: before.matched], starts_new_item=True)
    return TextDelta(text="")
