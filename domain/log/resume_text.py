"""How does an answer go on that was broken off after part of it was shown?

Where a backend can't go on from a partial answer it is asked again. What matches the text already shown is dropped; at
the first difference the shown item is given up and the new answer stands in an item of its own.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumedText:
    """`shown` is the text that readers have seen; `matched` how much of it the new answer has repeated so far."""

    shown: str
    matched: int = 0

    @property
    def matching(self) -> bool:
        return self.matched < len(self.shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """`text` is new. `afresh`: it belongs into a new item, because the answer differs from what was shown."""

    text: str
    starts_new_item: bool = False


def continue_text(shown: str) -> ResumedText:
    """The backend goes on from `shown`: all it says is new."""
    return ResumedText(shown=shown, matched=len(shown))


def repeat_text(shown: str) -> ResumedText:
    """The backend begins from the start: what was shown is dropped while it matches."""
    return ResumedText(shown=shown)


def after_text(before: ResumedText, text: str) -> tuple[ResumedText, TextDelta]:
    """Take the next text of the backend; say what of it is new."""
    if not before.matching:
        return before, TextDelta(text=text)
    rest = before.shown[before.matched :]
    if rest.startswith(text):
        return replace(before, matched=before.matched + len(text)), TextDelta(text="")
    if text.startswith(rest):
        return replace(before, matched=len(before.shown)), TextDelta(text=text[len(rest) :])
    return continue_text(""), TextDelta(text=before.shown[: before.matched] + text, starts_new_item=True)


def at_end(before: ResumedText) -> TextDelta:
    """The answer ended. One that stops short of what was shown is another answer."""
    if before.matching:
        return TextDelta(text=before.shown[: before.matched], starts_new_item=True)
    return TextDelta(text="")
