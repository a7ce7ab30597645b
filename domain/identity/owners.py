"""Whose is it?"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Objects belong to the owner; budgets to tenant and owner.

    `tenant` is the tid of the token; `subject` is `user:<oid>` for people and `app:<appid>` for applications.
    `roles` are what the token grants at this time; they are no part of who the owner is.
    """

    tenant: str
    subject: str
    roles: tuple[str, ...] = field(default=(), compare=False)
