"""Where does a server put the reasoning of its model, and does it take reasoning back?"""

from enum import StrEnum


class ReasoningFormat(StrEnum):
    """Where the reasoning of a model is in its answer."""

    FIELDS = "fields"
    """In a field of its own, or nowhere: a text is the answer."""
    THINK_TAGS = "think_tags"
    """In the text, which begins with `<think>…</think>`."""
    THINK_TAGS_OPEN = "think_tags_open"
    """In the text until `</think>`; the opening tag is the end of the prompt."""


class ReasoningInputMode(StrEnum):
    """The field of an assistant message in which a server takes earlier reasoning back."""

    NO = "no"
    REASONING_CONTENT = "reasoning_content"
    REASONING = "reasoning"
