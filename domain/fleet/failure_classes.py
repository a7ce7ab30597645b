"""What does a failed attempt say about its backend?

The status alone can't tell a cold start from a full quota, so rows of signatures are tried in order: the backend's own
rows, those of its system, then `DEFAULTS`. Every condition that a row states must hold.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from itertools import chain
from typing import Final

from msgspec import Struct

BODY_CHARACTERS: Final = 2048
"""How much of a body is looked at: signatures stand at its beginning."""


AFTER_HOLD_S: Final = 0.2
"""A request that was held and dropped needs no pause: when to ask again is known from the start's quantiles."""


NOT_ACCEPTED: Final = "it does not accept our credentials"


class FailureClass(StrEnum):
    COLD = "cold"
    """It is starting: wait for it."""
    THROTTLED = "throttled"
    """It is up and refuses for now: come back later."""
    BROKEN = "broken"
    """It can't do this: use another."""
    INDETERMINATE = "indeterminate"
    """It may or may not have done the work."""
    UNFIT = "unfit"
    """The request is too big for this backend: another may take it."""
    CLIENT = "client"
    """The request itself is wrong: never repeat it."""


class FailureKind(StrEnum):
    STATUS = "status"
    REFUSED = "refused"
    CONNECT_TIMEOUT = "connect_timeout"
    RESET = "reset"
    READ_TIMEOUT = "read_timeout"
    BAD_FRAME = "bad_frame"
    WRONG_CONTENT_TYPE = "wrong_content_type"
    TRUNCATED = "truncated"
    FINISH_REASON = "finish_reason"
    """It ended the answer for a reason that is not a good end, like `abort`; the body is that reason."""
    INEXPRESSIBLE = "inexpressible"
    """Its wire has no form for something in the request; nothing was sent."""
    IMAGE = "image"
    """An image that the caller named by an address could not be loaded; the body says why, nothing was sent."""
    NO_LOGPROBS = "no_logprobs"
    """Its text came without the log probabilities that were asked for."""
    HELD = "held"
    """It took the request and let it wait; we dropped it."""
    PROBE_STARTING = "probe_starting"
    """Its probe got an answer that, on its system, means that it is starting."""
    PROBE_REFUSED = "probe_refused"
    """Its probe got an answer that, on its system, means that it will not start."""
    CREDENTIALS_REFUSED = "credentials_refused"
    CREDENTIALS_UNREACHABLE = "credentials_unreachable"


STATUS_KINDS: Final = (FailureKind.STATUS, FailureKind.PROBE_STARTING, FailureKind.PROBE_REFUSED)

CREDENTIAL_KINDS: Final = (FailureKind.CREDENTIALS_REFUSED, FailureKind.CREDENTIALS_UNREACHABLE)
"""The backend was never called: no credentials could be obtained."""


class Failure(Struct, frozen=True, kw_only=True):
    """How an attempt failed. `status` is set for kind `status`; `text_received`: some of the answer had come."""

    kind: FailureKind
    status: int | None = None
    headers: Mapping[str, str] | None = None
    body: str = ""
    text_received: bool = False


class FailureSignature(Struct, frozen=True, kw_only=True):
    """One row: what a failure looks like and what it means. A header is `name` or `name: part of its value`.

    `statuses` and `kinds` are alternatives within themselves; `delay_s` holds where the answer names no delay.
    """

    failure_class: FailureClass
    statuses: tuple[int, ...] = ()
    kinds: tuple[FailureKind, ...] = ()
    body: str | None = None
    body_pattern: str | None = None
    headers: tuple[str, ...] = ()
    delay_s: float | None = None
    note: str = ""


class Diagnosis(Struct, frozen=True, kw_only=True):
    """What a failure means, and why. `delay_s`: when the backend wants to be asked again, None where it did not say."""

    failure_class: FailureClass
    delay_s: float | None
    reason: str


def row(failure_class: FailureClass, note: str, *statuses: int, headers: tuple[str, ...] = ()) -> FailureSignature:
    return FailureSignature(failure_class=failure_class, statuses=statuses, headers=headers, note=note)


def kind_row(failure_class: FailureClass, kind: FailureKind, note: str) -> FailureSignature:
    return FailureSignature(failure_class=failure_class, kinds=(kind,), note=note)


ENVELOPE: Final = (
    r'(?i)^(?:\{\s*(?:"error":\s*\{\s*)?(?:"object":\s*"error",\s*)?(?:"code":\s*"?[\w]+"?,\s*)?"message":\s*")?'
)
"""What precedes the words of an error: nothing, or the beginning of the server's JSON."""

TOO_LONG: Final = (
    ENVELOPE + r"This model's maximum context length is",
    ENVELOPE + r"'?max_tokens'?(?: or 'max_completion_tokens')? is too large",
    ENVELOPE + r"(?:the )?request (?:\(\d+ tokens\) )?exceeds the available context size",
    ENVELOPE + r"Requested token count exceeds the model's maximum context length",
    ENVELOPE + r"The input \(\d+ tokens\) is longer than the model's context length",
    ENVELOPE + r"Input tokens exceed the configured limit",
    ENVELOPE + r"The maximum tokens you requested exceeds the model limit",
    ENVELOPE + r"(?:the )?(?:input|prompt) is too long",
    r'(?i)^\{\s*"error":\s*\{\s*(?:"code":\s*\d+,\s*)?"(?:code|type)":\s*"(?:context_length_exceeded|exceed_context_size_error)"',
    r'(?i)^\{\s*"error":\s*"Input validation error: `inputs` (?:tokens|must have less than)',
)
"""How vLLM, OpenAI, llama.cpp, SGLang, Bedrock, Anthropic and Text Generation Inference begin this error."""

DEFAULTS: Final = (
    kind_row(FailureClass.COLD, FailureKind.PROBE_STARTING, "it is still starting"),
    kind_row(FailureClass.INDETERMINATE, FailureKind.PROBE_STARTING, "it stopped before its end"),
    kind_row(FailureClass.BROKEN, FailureKind.PROBE_REFUSED, "it refuses to start"),
    row(FailureClass.THROTTLED, "its quota is used up for now", 429),
    row(FailureClass.THROTTLED, "it asks clients to retry later", 503, headers=("retry-after",)),
    row(FailureClass.THROTTLED, "it asks clients to retry later", 503, headers=("retry-after-ms",)),
    row(FailureClass.THROTTLED, "it is overloaded", 529),
    row(FailureClass.INDETERMINATE, "it ran out of time and may have done the work", 408, 425, 504),
    row(FailureClass.BROKEN, NOT_ACCEPTED, 401, 403, 407),
    row(FailureClass.BROKEN, "it does not serve this address or model", 404, 405, 410),
    row(FailureClass.BROKEN, "its model failed", 424),
    row(FailureClass.UNFIT, "the request is too large for it", 413),
    *(
        FailureSignature(
            failure_class=FailureClass.UNFIT,
            statuses=(400, 422, 500),
            body_pattern=pattern,
            note="the prompt does not fit its window",
        )
        for pattern in TOO_LONG
    ),
    row(FailureClass.CLIENT, "it rejects the request as invalid", *(s for s in range(400, 500) if s not in {409, 423})),
    FailureSignature(
        failure_class=FailureClass.BROKEN, kinds=(FailureKind.STATUS,), note="it answers with an error of its own"
    ),
    kind_row(FailureClass.BROKEN, FailureKind.REFUSED, "nothing accepts connections at its address"),
    kind_row(FailureClass.BROKEN, FailureKind.CONNECT_TIMEOUT, "it can't be reached"),
    kind_row(FailureClass.BROKEN, FailureKind.WRONG_CONTENT_TYPE, "it does not speak the expected protocol"),
    kind_row(FailureClass.BROKEN, FailureKind.FINISH_REASON, "it ended the answer without completing it"),
    kind_row(FailureClass.UNFIT, FailureKind.INEXPRESSIBLE, "its API has no form for a part of the request"),
    kind_row(
        FailureClass.UNFIT, FailureKind.NO_LOGPROBS, 'it returns no log probabilities; set logprobs = "no" in its entry'
    ),
    kind_row(FailureClass.CLIENT, FailureKind.IMAGE, "the image cannot be loaded"),
    kind_row(FailureClass.BROKEN, FailureKind.CREDENTIALS_REFUSED, "the app could not authenticate"),
    kind_row(FailureClass.INDETERMINATE, FailureKind.CREDENTIALS_UNREACHABLE, "the app could not authenticate"),
    FailureSignature(
        failure_class=FailureClass.COLD, kinds=(FailureKind.HELD,), delay_s=AFTER_HOLD_S, note="it is still starting"
    ),
    kind_row(FailureClass.INDETERMINATE, FailureKind.HELD, "it sent nothing for too long"),
    kind_row(FailureClass.INDETERMINATE, FailureKind.RESET, "the connection broke after the request was sent"),
    kind_row(FailureClass.INDETERMINATE, FailureKind.READ_TIMEOUT, "it sent nothing for too long"),
    kind_row(FailureClass.INDETERMINATE, FailureKind.BAD_FRAME, "its stream is malformed"),
    kind_row(FailureClass.INDETERMINATE, FailureKind.TRUNCATED, "its stream stopped before its end"),
)
"""First match wins. Where a status is not named it is an error of the backend's own."""


def diagnose(failure: Failure, rows: Sequence[FailureSignature], *, now: float | None = None) -> Diagnosis:
    """Return what the first matching row says. `now` (seconds since the epoch) is for a Retry-After that is a date."""
    headers = {name.lower(): value for name, value in (failure.headers or {}).items()}
    body = failure.body[:BODY_CHARACTERS]
    found = next(each for each in chain(rows, DEFAULTS) if matches(each, failure, headers, body))
    named = delay_from_headers(headers, now=now)
    return Diagnosis(
        failure_class=found.failure_class,
        delay_s=found.delay_s if named is None else named,
        reason=f"{subject_of(failure)}: {found.note or found.failure_class.value}",
    )


def matches(row: FailureSignature, failure: Failure, headers: Mapping[str, str], body: str) -> bool:
    """Tell whether every condition of the row holds. A backend whose text was coming is not cold."""
    return (
        not (row.failure_class is FailureClass.COLD and failure.text_received)
        and (not row.statuses or failure.status in row.statuses)
        and (not row.kinds or failure.kind in row.kinds)
        and (row.body is None or row.body.lower() in body.lower())
        and (row.body_pattern is None or re.search(row.body_pattern, body) is not None)
        and all(header_holds(condition, headers) for condition in row.headers)
    )


def header_holds(condition: str, headers: Mapping[str, str]) -> bool:
    name, _, part = condition.partition(":")
    value = headers.get(name.strip().lower())
    return value is not None and part.strip().lower() in value.lower()


def subject_of(failure: Failure) -> str:
    """Return what was seen. Where no backend was asked, the body is our own word for why."""
    if failure.kind in (*CREDENTIAL_KINDS, FailureKind.IMAGE) and failure.body:
        return failure.body
    what = failure.kind.value.replace("_", " ")
    if failure.kind in STATUS_KINDS:
        what = f"status {failure.status}"
    if failure.kind is FailureKind.FINISH_REASON and failure.body:
        what = f"finish reason '{failure.body}'"
    return f"{what} in mid-answer" if failure.text_received else what


MILLISECOND_HEADERS: Final = ("retry-after-ms", "x-ms-retry-after-ms")

NUMBER: Final = re.compile(r"[0-9]+(\.[0-9]+)?")
"""RFC 9110 knows whole seconds; some servers send a fraction."""

LONGEST_DELAY_S: Final = 86_400.0
"""A server that names a longer delay than a day hardly means it."""


def delay_from_headers(headers: Mapping[str, str], *, now: float | None) -> float | None:
    """Return the seconds to wait that an answer names. Header names are in lower case; nonsense is ignored."""
    for name in MILLISECOND_HEADERS:
        milliseconds = number_in(headers.get(name, ""))
        if milliseconds is not None:
            return min(milliseconds / 1000, LONGEST_DELAY_S)
    after = headers.get("retry-after", "")
    seconds = number_in(after)
    named = seconds_until(after, now=now) if seconds is None else seconds
    return None if named is None else min(named, LONGEST_DELAY_S)


def number_in(text: str) -> float | None:
    return float(text) if NUMBER.fullmatch(text.strip()) else None


def seconds_until(date: str, *, now: float | None) -> float | None:
    """Return the seconds until a date in any of HTTP's three forms, all of which are UTC, even without a time zone."""
    if now is None:
        return None
    try:
        moment = parsedate_to_datetime(date)
        at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, at - now)
