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


class Locked(Invalid):
    """Another response has the conversation: `running` is its id, None where it has just ended. A retry may help."""

    def __init__(self, message: str, *, field: str, running: str | None) -> None:
        super().__init__(message, field=field, code="conversation_locked")
        self.running = running


class Unauthenticated(Terminal):
    """The caller has no identity: the token is missing, malformed, expired or from an unknown issuer."""


class Forbidden(Terminal):
    """The caller is known but has no permission for the operation."""


class ApproverRequired(Forbidden):
    """Somebody else than the owner of a turn has to decide."""


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


class DamagedRecord(Terminal):
    """The stored document `identifier` cannot be read: it is no JSON, or its fields are not those of its kind."""

    def __init__(self, message: str, *, identifier: str) -> None:
        super().__init__(message)
        self.identifier = identifier

    @classmethod
    def by_id(cls, identifier: str) -> Self:
        return cls(f"The stored record '{identifier}' is damaged and cannot be read.", identifier=identifier)


class Exhausted(Terminal):
    """A counter of the document `identifier` would exceed its limit, such as a budget.

    `may_return`: other turns hold what is lacking, and may give it back.
    """

    def __init__(self, message: str, *, identifier: str = "", may_return: bool = False) -> None:
        super().__init__(message)
        self.identifier = identifier
        self.may_return = may_return


class BudgetSpent(Exhausted):
    """A line of a batch lacks a budget that is spent, and no other backend is left: it waits outside of its turn."""


class RateLimited(Retryable):
    """The limit of turns per minute, or of running turns, is reached."""


class Unavailable(Retryable):
    """A dependency did not answer."""


class UnknownOutcome(Retryable):
    """A write was sent and its result is unknown: read the document by id before a retry."""
