"""Which events does a request bring? The HTTP binding of CloudEvents 1.0, and the greetings of its senders.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md
"""

import json
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import unquote

from api.http.json_body import read_object
from domain.errors import Invalid
from domain.pipelines.cloud_events import CloudEvent, is_json, read_event, wrong

STRUCTURED: Final = "application/cloudevents"
BATCH: Final = "application/cloudevents-batch"
ATTRIBUTE: Final = "ce-"
MOST_EVENTS: Final = 100
"""How many events one request may bring."""

KIND: Final = "aeg-event-type"
VALIDATION: Final = "SubscriptionValidation"
WRAPPER: Final = b'{"events":%s}'
"""A list of events is read as a member of an object, by the reader of all other bodies."""


def read_events(headers: Mapping[str, str], raw: bytes) -> tuple[CloudEvent, ...]:
    """Return the events of a request; raises Invalid naming the attribute that is wrong."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith(f"{BATCH}+"):
        return tuple(read_event(each, where=f"[{at}]") for at, each in enumerate(listed(raw)))
    if kind.startswith(f"{STRUCTURED}+"):
        return (read_event(read_object(raw)),)
    return (binary_event(headers, raw, kind),)


def listed(raw: bytes) -> list[Mapping[str, Any]]:
    events: Any = read_object(WRAPPER % raw).get("events")
    if not isinstance(events, list) or len(cast("list[Any]", events)) > MOST_EVENTS:
        raise Invalid(f"Invalid body: expected a list of at most {MOST_EVENTS} events.", code="invalid_value")
    for at, each in enumerate(cast("list[Any]", events)):
        if not isinstance(each, dict):
            raise Invalid(f"Invalid '[{at}]': expected an event.", field=f"[{at}]", code="invalid_value")
    return cast("list[Mapping[str, Any]]", events)


def binary_event(headers: Mapping[str, str], raw: bytes, kind: str) -> CloudEvent:
    """Return an event whose attributes are headers and whose data is the body."""
    given = {name.lower(): value for name, value in headers.items()}
    named = {name.removeprefix(ATTRIBUTE): unquote(given[name]) for name in given if name.startswith(ATTRIBUTE)}
    content: dict[str, Any] = {**named, "datacontenttype": kind} if kind else named
    event = read_event(content)
    if not raw:
        return event
    return CloudEvent(source=event.source, id=event.id, content={**content, "data": data_of(raw, kind)})


def data_of(raw: bytes, kind: str) -> Any:
    try:
        return read_object(WRAPPER % raw)["events"] if is_json(kind) else raw.decode()
    except UnicodeDecodeError:
        raise wrong("data", "expected UTF-8 text, or JSON", "") from None


def validation_code(headers: Mapping[str, str], raw: bytes) -> str | None:
    """Return the code that Event Grid wants back before it sends events; None for every other request.

    https://learn.microsoft.com/azure/event-grid/end-point-validation-event-grid-events-schema
    """
    if headers.get(KIND, "") != VALIDATION:
        return None
    try:
        (event,) = json.loads(raw)
        code = event["data"]["validationCode"]
    except (ValueError, KeyError, TypeError, RecursionError):
        code = None
    if not isinstance(code, str) or not code:
        raise wrong("validationCode", "expected one event with a validation code", "[0].data")
    return code


def greeting(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return the headers that allow a sender to deliver; raises Invalid where no sender asks."""
    origin = headers.get("webhook-request-origin", "")
    if not origin or not origin.isprintable():
        raise Invalid("Missing header 'WebHook-Request-Origin'.", code="missing_required_parameter")
    allowed = {"webhook-allowed-origin": origin, "allow": "POST, OPTIONS"}
    return allowed | ({"webhook-allowed-rate": "*"} if "webhook-request-rate" in headers else {})
