"""Which errors does the product raise, and which of them may be retried?"""

from typing import Self


class GanglionError(Exception):
    """The root of every error that the product raises on purpose. Its message is safe to show to callers."""


class Terminal(GanglionError):
    """A retry cannot help."""


class Retryable(GanglionError):
    """A retry may help after `delay_s` seconds."""

    def __init__(self, message: str, *, delay_s: float = 0.0) -> None:
        super().__init__(message)
        self.delay_s = delay_s


class ConfigurationError(Terminal):
    """Settings or configuration files are wrong; the message lists every problem."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Invalid(Terminal):
    """A request is invalid: `field` is the JSON field (None: the whole request), `code` is an error code of the API."""

    def __init__(self, message: str, *, field: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.code = code


class Unauthenticated(Terminal):
    """The caller has no identity: the token is missing, malformed, expired or from an unknown issuer."""


class Forbidden(Terminal):
    """The caller is known but has no permission for the operation."""


class NotFound(Terminal):
    """The caller's own partition has no such object."""

    @classmethod
    def by_id(cls, kind: str, identifier: str) -> Self:
        """Return the error for an unknown id; every not-found message has the same form."""
        return cls(f"{kind} with id '{identifier}' not found.")


class NoResponse(NotFound):
    """The response does not exist, or was deleted while its turn was running."""


class Conflict(Terminal):
    """A concurrent write won: the document `identifier` exists already, was deleted, or has another version."""

    def __init__(self, message: str, *, identifier: str = "") -> None:
        super().__init__(message)
        self.identifier = identifier


class Exhausted(Terminal):
    """A counter of the document `identifier` would exceed its limit, such as a budget."""

    def __init__(self, message: str, *, identifier: str = "") -> None:
        super().__init__(message)
        self.identifier = identifier


class RateLimited(Retryable):
    """The limit of turns per minute, or of running turns, is reached."""


class Unavailable(Retryable):
    """A dependency did not answer."""


class UnknownOutcome(Retryable):
    """A write was sent and its result is unknown: read the document by id before a retry."""
