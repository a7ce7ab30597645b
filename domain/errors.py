"""What can go wrong, and may it be tried again?"""


class GanglionError(Exception):
    """The root of every error that the product raises on purpose. Its message is safe to show."""


class Terminal(GanglionError):
    """Trying again can't help."""


class Retryable(GanglionError):
    """Trying again may help, not before `delay_s` seconds have passed."""

    def __init__(self, message: str, *, delay_s: float = 0.0) -> None:
        super().__init__(message)
        self.delay_s = delay_s


class ConfigurationError(Terminal):
    """Settings or files of configuration are wrong; every problem is named at once."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Invalid(Terminal):
    """A request is wrong: `field` says where (None: the whole), `code` is one of the API's codes."""

    def __init__(self, message: str, *, field: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.code = code


class Unauthenticated(Terminal):
    """No identity: the token is missing, malformed, expired or not from an issuer we know."""


class Forbidden(Terminal):
    """The identity is known, and may not do this."""


class NotFound(Terminal):
    """No such object under the caller's own partition."""


class NoResponse(NotFound):
    """The response itself is not there; where its turn runs it was deleted meanwhile."""


class Conflict(Terminal):
    """Somebody else was first: the document `identifier` exists, is gone, or its version has changed."""

    def __init__(self, message: str, *, identifier: str = "") -> None:
        super().__init__(message)
        self.identifier = identifier


class Exhausted(Terminal):
    """A counter of the document `identifier` would pass its limit (a budget without cover)."""

    def __init__(self, message: str, *, identifier: str = "") -> None:
        super().__init__(message)
        self.identifier = identifier


class RateLimited(Retryable):
    """A limit of turns in a minute, or of running turns, is reached."""


class Unavailable(Retryable):
    """A part we depend on did not answer."""


class UnknownOutcome(Retryable):
    """A write was sent and its answer was lost: read back by id before trying again."""
