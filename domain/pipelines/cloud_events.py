"""What does an event say? CloudEvents 1.0 (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md)."""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from msgspec import Struct

from domain.errors import Invalid

VERSION: Final = "1.0"
REQUIRED: Final = ("id", "source", "type")
ATTRIBUTE: Final = re.compile(r"[a-z0-9]+")
LONGEST: Final = 1024
"""Characters of an attribute that identifies an event."""


class CloudEvent(Struct, frozen=True, kw_only=True):
    """An event: its source and id together identify it. `content` is the event in its JSON format."""

    source: str
    id: str
    content: Mapping[str, Any]

    def part(self, names: Sequence[str]) -> str | None:
        """Return the part that the names lead to, as a text; what is no text is JSON. None where there is none."""
        value: Any = self.content
        for name in names:
            value = cast("Mapping[str, Any]", value).get(name) if isinstance(value, Mapping) else None
        if value is None or isinstance(value, str):
            return value
        return json.dumps(value, ensure_ascii=False)


def read_event(content: Mapping[str, Any], *, where: str = "") -> CloudEvent:
    """Return an event in the JSON format; raises Invalid naming the attribute that is wrong. `where` is its place."""
    if content.get("specversion") != VERSION:
        raise wrong("specversion", f"expected {VERSION}", where)
    for name in REQUIRED:
        value = content.get(name)
        if not isinstance(value, str) or not 1 <= len(value) <= LONGEST:
            raise wrong(name, f"expected a text of 1 to {LONGEST} characters", where)
    for name in content:
        if name not in {"data", "data_base64"} and not ATTRIBUTE.fullmatch(name):
            raise wrong(name, "expected names of lower-case letters and digits", where)
    if "data_base64" in content:
        content = with_data(content, where)
    return CloudEvent(source=content["source"], id=content["id"], content=content)


def with_data(content: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Return an event whose binary data is read as text, or as JSON where its content type says so."""
    if "data" in content:
        raise wrong("data_base64", "expected either this or data", where)
    try:
        text = base64.b64decode(content["data_base64"], validate=True).decode()
        kind = str(content.get("datacontenttype", "application/json"))
        data = json.loads(text) if is_json(kind) else text
        json.dumps(data, ensure_ascii=False, allow_nan=False).encode()  # refuses what no JSON in UTF-8 can say
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise wrong("data_base64", "expected UTF-8 text, or JSON, in base64", where) from None
    rest = {name: value for name, value in content.items() if name != "data_base64"}
    return {**rest, "data": data}


def is_json(media_type: str) -> bool:
    kind = media_type.partition(";")[0].strip().lower()
    return kind.endswith(("/json", "+json"))


def wrong(name: str, expected: str, where: str) -> Invalid:
    path = f"{where}.{name}" if where else name
    return Invalid(f"Invalid '{path}': {expected}.", field=path, code="invalid_value")
