"""Which app roles does the product know? An administrator assigns them to people and to applications."""

from enum import StrEnum

from domain.identity.owners import Owner


class AppRole(StrEnum):
    """The roles of the application in Microsoft Entra, as the claim `roles` of an access token names them."""

    TURNS = "Turns.ReadWrite"
    USAGE_READ = "Usage.Read"
    OWNERS_ERASE = "Owners.Erase"
    OPERATIONS_READ = "Operations.Read"
    TOOLS_ACCEPT = "Tools.Accept"
    OPERATIONS_WARM_UP = "Operations.WarmUp"
    LIMITS_WRITE = "Limits.Write"
    EVENTS_SEND = "Events.Send"


def has_role(owner: Owner, role: AppRole) -> bool:
    """Return whether the current token of a person or an application grants a role."""
    return role in owner.roles
