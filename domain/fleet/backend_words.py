"""What does a backend say about its failure, in a form that the owner of the turn may read?

The words can quote prompts, so they stay in the owner's records; an operator's log has only their hash. Addresses,
accounts and secrets of the operator are masked.
"""

import hashlib
import json
import re
import unicodedata
from typing import Any, Final, cast

from domain.fleet.failure_classes import Failure, FailureKind

WORDS_LIMIT: Final = 500
"""The most characters of a backend's message that are kept."""

MESSAGE_MEMBERS: Final = ("message", "detail", "error", "errors", "msg", "title", "reason", "Message")
"""The members of an error's JSON that can hold its words, the most telling first."""

CUT_MESSAGE: Final = re.compile(r'"(?:message|detail|error)"\s*:\s*"((?:[^"\\]|\\.)*)')
"""The words of JSON whose end is missing."""

TAG: Final = re.compile(r"<(?:script|style)\b.*?</(?:script|style)>|<[^>]*>", re.DOTALL | re.IGNORECASE)

MASKS: Final = (
    (re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s\"'<>)\]]+", re.IGNORECASE), "[address]"),
    (re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b"), "[address]"),
    (re.compile(r"\barn:[\w-]+:[^\s\"']+", re.IGNORECASE), "[resource]"),
    (
        re.compile(r"(?:/?\b(?:subscriptions|resourceGroups|providers|projects|tenants)/[\w.-]+)+(?:/[\w.-]+)*"),
        "[resource]",
    ),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE), "[id]"),
    (re.compile(r"\b(?:org|proj|acct|user|key|sk|pk|hf|gsk|xai)[-_][\w-]{8,}"), "[id]"),
    (re.compile(r"\b(?:AKIA|ASIA|AIza)[\w-]{12,}"), "[id]"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?"), "[secret]"),
    (re.compile(r"\bBearer\s+[\w.~+/=-]+", re.IGNORECASE), "[secret]"),
    (re.compile(r"\b\d{12}\b"), "[id]"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), "[address]"),
    (re.compile(r"(?<![\w:])(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{0,4}(?![\w:])", re.IGNORECASE), "[address]"),
    (
        re.compile(
            r"\b(?:[a-z0-9-]+\.)+(?:com|net|org|io|ai|dev|app|cloud|internal|local|svc|run|azure|aws)\b(?::\d+)?",
            re.IGNORECASE,
        ),
        "[address]",
    ),
    (re.compile(r"\b(?=\w*\d)(?=\w*[A-Za-z])[\w-]{32,}\b"), "[id]"),
)
"""What is masked in the words, in this order: addresses, resources, accounts and secrets."""

TELLING: Final = (FailureKind.STATUS, FailureKind.WRONG_CONTENT_TYPE)
"""The kinds of failure whose body is the backend's message. A malformed frame can be a part of an answer."""


def backend_words(failure: Failure) -> str:
    """Return the backend's message, cleaned, masked and cut; empty where it said nothing."""
    is_error_frame = failure.kind is FailureKind.BAD_FRAME and '"error"' in failure.body
    if failure.kind not in TELLING and not is_error_frame:
        return ""
    words = message_in(failure.body)
    return masked(one_line(TAG.sub(" ", words)))[:WORDS_LIMIT].strip()


def words_hash(words: str) -> str:
    """Return a short hash that tells whether two failures said the same."""
    return hashlib.sha256(words.encode(errors="replace")).hexdigest()[:16] if words else "none"


def message_in(body: str) -> str:
    """Return the words in a body: those of its JSON, also where that is cut off, else the whole text."""
    try:
        return told(json.loads(body), depth=0)
    except (ValueError, RecursionError):
        cut = CUT_MESSAGE.search(body)
        return cut[1] if cut and body.lstrip()[:1] in ("{", "[") else body


def told(value: Any, depth: int) -> str:
    """Return the most telling text in an error's JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        found = [told(each, depth + 1) for each in cast("list[Any]", value)[:3]]
        return "; ".join(filter(None, found))
    if not isinstance(value, dict) or depth > len(MESSAGE_MEMBERS):
        return ""
    members = cast("dict[str, Any]", value)
    return next(filter(None, (told(members[name], depth + 1) for name in MESSAGE_MEMBERS if name in members)), "")


def one_line(text: str) -> str:
    """Return the text in one line, without control and formatting characters."""
    plain = "".join(" " if unicodedata.category(each)[0] in "ZC" else each for each in text)
    return " ".join(plain.split())


def masked(text: str) -> str:
    for pattern, mask in MASKS:
        text = pattern.sub(mask, text)
    return text
