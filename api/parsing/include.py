"""Which optional parts does a request want in its answer?"""

from typing import Final

from domain.content.included_parts import IncludedPart
from domain.errors import Invalid

LOGPROBS: Final = "message.output_text.logprobs"
ALWAYS_SENT: Final = "message.input_image.image_url"


def read_include(values: list[str] | None) -> tuple[tuple[IncludedPart, ...], tuple[str, ...]]:
    """Return the parts that the answer will have, and the names of those that it never has.

    Raises Invalid for the log probabilities, whose absence would change what the caller can do with the answer.
    """
    if LOGPROBS in (values or ()):
        field = f"include[{(values or []).index(LOGPROBS)}]"
        message = f"Unsupported parameter: '{field}' asks for {LOGPROBS}, which no backend of this service returns."
        raise Invalid(message, field=field, code="unsupported_parameter")
    known = tuple(part for part in IncludedPart if part.value in (values or ()))
    others = dict.fromkeys(value for value in values or () if value not in IncludedPart and value != ALWAYS_SENT)
    return known, tuple(f"include.{value}" for value in others)
