"""Which field is wrong, in the API's words?"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from api.http.json_body import path_of, shortened
from domain.errors import Invalid

EXPECTED = {
    "string_type": "a string",
    "int_type": "an integer",
    "float_type": "a number",
    "bool_type": "a boolean",
    "dict_type": "an object",
    "model_type": "an object",
    "list_type": "an array",
}

KINDS: Mapping[str, str] = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "a boolean",
    "dict": "an object",
    "list": "an array",
    "NoneType": "null",
}
"""What JSON calls Python's types."""


class RequestPart(BaseModel):
    """A part of a request: types are taken as they are, unknown fields passed over."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


def validated[P: RequestPart](model: type[P], value: Any, *path: str | int) -> P:
    """Read a value that stands at `path` of the request; raises Invalid naming the first field that is wrong."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        steps = (*path, *(step for step in first["loc"] if not is_mark(step)))
        raise invalid(shortened(path_of(steps)), first["type"], first["msg"], first["input"]) from None


def is_mark(step: str | int) -> bool:
    """Tell whether a step of pydantic's is no part of the request: a key's or a union's mark."""
    return isinstance(step, str) and step.startswith("[")


def invalid(path: str, problem: str, message: str, value: Any) -> Invalid:
    if problem == "missing":
        return Invalid(f"Missing required parameter: '{path}'.", field=path, code="missing_required_parameter")
    if problem in EXPECTED:
        return wrong_type(path, EXPECTED[problem], value)
    said = message[:1].lower() + message[1:]
    return Invalid(f"Invalid '{path}': {said}.", field=path, code="invalid_value")


def wrong_type(path: str, expected: str, value: Any) -> Invalid:
    got = KINDS[value.__class__.__name__]
    message = f"Invalid type for '{path}': expected {expected}, but got {got} instead."
    return Invalid(message, field=path, code="invalid_type")
