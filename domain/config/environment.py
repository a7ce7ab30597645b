"""What does an environment variable say, and what is wrong with it?"""

from base64 import b64decode
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final
from urllib.parse import urlsplit

from domain.errors import ConfigurationError
from domain.network_names import LOOPBACK, without_secrets

PREFIX: Final = "GANGLION_"
MAX_DOLLARS: Final = 1_000_000


KEY_BYTES: Final = 32
KEY_EXPECTED: Final = f"expected {KEY_BYTES} bytes in base64, as from: openssl rand -base64 {KEY_BYTES}"


class EnvironmentReader:
    """Reads variables and collects every problem, instead of stopping at the first one."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.names: set[str] = set()
        self.problems: list[str] = []

    def text(self, name: str) -> str | None:
        """Return the variable's text, None if it is not set or empty."""
        self.names.add(PREFIX + name)
        return self.environment.get(PREFIX + name) or None

    def value[T](self, name: str, *, convert: Callable[[str], T], default: str | None = None) -> T:
        text = self.text(name) or default
        if text is None:
            self.problems.append(f"{PREFIX}{name} is not set")
            return convert("1")
        try:
            return convert(text)
        except ValueError as error:
            self.report(name, error, text)
            return convert(default or "1")

    def optional[T](self, name: str, *, convert: Callable[[str], T]) -> T | None:
        text = self.text(name)
        try:
            return convert(text) if text else None
        except ValueError as error:
            self.report(name, error, text)
            return None

    def key(self, name: str) -> bytes | None:
        """Return the key that a variable holds in base64. What it holds is never told: it is a secret."""
        text = self.text(name)
        try:
            found = b64decode(text or "", validate=True)
        except ValueError:
            found = b""
        self.reject(text is not None and len(found) != KEY_BYTES, name, KEY_EXPECTED)
        return found if len(found) == KEY_BYTES else None

    def flag(self, name: str) -> bool:
        return self.choice(name, ("false", "true"), default="false") == "true"

    def choice(self, name: str, allowed: tuple[str, ...], *, default: str) -> str:
        text = self.text(name) or default
        if text not in allowed:
            self.report(name, f"expected one of {', '.join(allowed)}", text)
        return text

    def report(self, name: str, expected: object, text: str | None) -> None:
        shown = text and without_secrets(text)
        self.problems.append(f"{PREFIX}{name}: {expected}, found {shown!r}")

    def reject(self, is_wrong: bool, name: str, problem: str) -> None:  # noqa: FBT001 - the condition comes first
        if is_wrong:
            self.problems.append(f"{PREFIX}{name}: {problem}")

    def raise_problems(self) -> None:
        if self.problems:
            raise ConfigurationError(tuple(self.problems))


def dollar_amount(text: str) -> Decimal:
    problem = f"expected a number above 0, at most {MAX_DOLLARS}"
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise ValueError(problem) from None
    if not (amount.is_finite() and 0 < amount <= MAX_DOLLARS):
        raise ValueError(problem)
    return amount


def share_of_whole(text: str) -> Decimal:
    """Return a share above 0 of a whole that is 1."""
    amount = dollar_amount(text)
    if amount > 1:
        raise ValueError("expected a share above 0, at most 1")
    return amount


def positive_number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ValueError("expected a number above 0")
    return number


def positive_whole_number(text: str) -> int:
    try:
        return int(positive_number(str(int(text))))
    except ValueError:
        raise ValueError("expected a whole number above 0") from None


def address_origin(text: str) -> str:
    """Return an address without a path. Plain http is accepted for this machine only: no other one can read it."""
    parts = urlsplit(text.rstrip("/"))
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if not (safe and parts.hostname and text.rstrip("/") == f"{parts.scheme}://{parts.netloc}" and "@" not in text):
        raise ValueError("expected https://host[:port], or http to this machine")
    return text.rstrip("/")


def name_set(text: str) -> frozenset[str]:
    """Split a list at its commas and strip the names. An empty list is an error: it would reject every caller."""
    found = frozenset(name.strip() for name in text.split(",") if name.strip())
    if not found:
        raise ValueError("expected at least one name")
    return found
