"""Which optional parts does a request want in its answer?"""

from typing import Final

from domain.errors import Invalid
from domain.turns.response import IncludedPart

LOGPROBS: Final = "message.output_text.logprobs"
ALWAYS_SENT: Final = ("message.input_image.image_url", LOGPROBS)
"""What is sent wherever it exists; log probabilities exist where the request asks for them."""


def read_include(values: list[str] | None) -> tuple[tuple[IncludedPart, ...], tuple[str, ...]]:
    """Return the parts that the answer will have, and the names of those that it never has."""
    known = tuple(part for part in IncludedPart if part.value in (values or ()))
    others = dict.fromkeys(value for value in values or () if value not in IncludedPart and value not in ALWAYS_SENT)
    return known, tuple(f"include.{value}" for value in others)


def logprobs_path(include: list[str] | None, top_logprobs: int | None) -> str | None:
    """Return the field of a response's request that asks for log probabilities; None where none does."""
    if LOGPROBS in (include or ()):
        return f"include[{(include or []).index(LOGPROBS)}]"
    return "top_logprobs" if top_logprobs else None


def check_top_logprobs(logprobs: bool | None, top_logprobs: int | None) -> None:  # noqa: FBT001 - a field of a chat
    """Raise Invalid where a chat asks for options beside log probabilities that it does not ask for."""
    if top_logprobs and not logprobs:
        message = "Invalid 'top_logprobs': expected 0 or none unless 'logprobs' is true."
        raise Invalid(message, field="top_logprobs", code="invalid_value")
