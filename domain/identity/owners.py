"""Who owns responses, conversations and budgets?"""

from typing import override

from msgspec import Struct


class Owner(Struct, frozen=True, kw_only=True, eq=False):
    """A user or an application of a tenant. Stored objects belong to one owner; budgets to a tenant or an owner.

    `tenant` is the tid of the token; `subject` is `user:<oid>` for people and `app:<appid>` for applications.
    `roles` are those of the current token; they are not part of the owner's identity.
    """

    tenant: str
    subject: str
    roles: tuple[str, ...] = ()

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Owner) and (self.tenant, self.subject) == (other.tenant, other.subject)

    @override
    def __ne__(self, other: object) -> bool:
        return not self == other

    @override
    def __hash__(self) -> int:
        return hash((self.tenant, self.subject))
