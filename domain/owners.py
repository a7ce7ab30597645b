"""Whose is it?"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Objects belong to the owner; budgets to tenant and owner.

    `tenant` is the tid of the token; `subject` is `user:<oid>` for people and `app:<appid>` for applications.
    """

    tenant: str
    subject: str
