"""Who owns responses, conversations and budgets?"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A user or an application of a tenant. Stored objects belong to one owner; budgets to a tenant or an owner.

    `tenant` is the tid of the token; `subject` is `user:<oid>` for people and `app:<appid>` for applications.
    `roles` are those of the current token; they are not part of the owner's identity.
    """

    tenant: str
    subject: str
    roles: tuple[str, ...] = field(default=(), compare=False)
