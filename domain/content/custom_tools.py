"""How is a tool that is not a plain function offered to a model that only knows functions?

A custom tool takes a text: it is offered as a function with one string. A tool in a namespace is offered under a name
that contains the namespace, and a tool that the server runs under a name that contains its server. The caller sees none
of these names.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final, Self

from msgspec import Struct

INPUT: Final = "input"
"""The one parameter of the function that a custom tool is offered as."""

NAME_LIMIT: Final = 64
"""The longest name of a function that every model API accepts."""

HASH_DIGITS: Final = 8
OTHER_SIGNS: Final = re.compile(r"[^A-Za-z0-9_-]")

PARAMETERS: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {INPUT: {"type": "string"}},
    "required": [INPUT],
    "additionalProperties": False,
}


class CustomInput(Struct, frozen=True, kw_only=True):
    """The input of a custom tool: any text, or one that matches the `grammar`, written in a `syntax`."""

    syntax: str = ""
    grammar: str = ""

    @property
    def instructions(self) -> str:
        """What a model has to know about the input; no server can hold it to the grammar."""
        if not self.grammar:
            return f"'{INPUT}' is the whole input, as plain text."
        return f"'{INPUT}' is the whole input, as plain text. It must match this {self.syntax} grammar:\n{self.grammar}"

    def to_document(self) -> dict[str, Any]:
        return {"syntax": self.syntax, "grammar": self.grammar}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(syntax=body["syntax"], grammar=body["grammar"])


class ToolNamespace(Struct, frozen=True, kw_only=True):
    """A group of tools; the description is that of the group."""

    name: str
    description: str = ""

    def to_document(self) -> dict[str, Any]:
        return {"name": self.name, "description": self.description}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(name=body["name"], description=body["description"])


def flat_name(name: str, namespace: str) -> str:
    """Return the name of a tool in requests to a backend, which knows no namespaces."""
    return f"{namespace}__{name}" if namespace else name


def offered_name(tool: str, server: str) -> str:
    """Return the name under which a server's tool is offered. Names that had to be changed end with a hash."""
    name = f"{server}__{tool}"
    plain = OTHER_SIGNS.sub("_", name)
    if plain == name and len(name) <= NAME_LIMIT:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:HASH_DIGITS]
    return f"{plain[: NAME_LIMIT - HASH_DIGITS - 1]}_{digest}"


def custom_arguments(text: str) -> str:
    """Return the JSON arguments of a call of a custom tool."""
    return json.dumps({INPUT: text}, ensure_ascii=False)


def custom_text(arguments: str) -> str:
    """Return the input of a custom tool from its JSON arguments; the arguments as they are where they have no input."""
    try:
        body = json.loads(arguments)
    except ValueError:
        return arguments
    match body:
        case {"input": str(text)}:
            return text
        case _:
            return arguments
