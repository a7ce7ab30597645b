"""How does a deployment wait for what a cloud has granted but not yet told all its servers?

A new role, application or service account is visible everywhere only after some minutes: Azure says up to ten
(https://learn.microsoft.com/azure/role-based-access-control/troubleshooting), Google up to seven
(https://cloud.google.com/iam/docs/access-change-propagation).
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from scripts.deployment.commands import CommandRunner, DeploymentError

NOT_YET: Final = re.compile(
    r"AuthorizationFailed|Authorization_RequestDenied|PrincipalNotFound|Request_ResourceNotFound|LinkedAuthorizationFailed"
    r"|does not exist or one of its queried reference-property objects"
    r"|does not reference a valid application object|does not exist in the directory"
    r"|Service account \S+ does not exist|PERMISSION_DENIED|Permission '[\w.]+' denied"
)
"""What the clouds answer while a grant or an object has not arrived everywhere. A missing right looks the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often is tried, at which distance; `say` gets a line before each pause."""

    tries: int = 21
    pause_s: float = 30.0
    say: Callable[[str], object] = print
    sleep: Callable[[float], None] = field(default=time.sleep)

    def pause(self, number: int, reason: str) -> None:
        total_s = (self.tries - 1) * self.pause_s
        self.say(
            f"waiting: {reason}. A new role or application takes up to 10 minutes to arrive everywhere; "
            f"trying again in {self.pause_s:g} s ({number * self.pause_s:g} of at most {total_s:g} s)"
        )
        self.sleep(self.pause_s)


def patient(run: CommandRunner, patience: Patience) -> CommandRunner:
    """Return what runs a command again while a grant has not arrived; every other failure is raised at once."""

    def attempt(*command: str, succeeds: bool = True) -> str:
        for number in range(1, patience.tries):
            try:
                return run(*command, succeeds=succeeds)
            except DeploymentError as problem:
                found = NOT_YET.search(str(problem))
                if found is None:
                    raise
                patience.pause(number, f"{' '.join(command[:3])} answers {found[0]}")
        return run(*command, succeeds=succeeds)

    return attempt


def wait_until_ready(run: CommandRunner, origin: str, patience: Patience) -> None:
    """Ask `GET /readyz` until the app reaches its store and its fleet; raises DeploymentError with the last answer."""
    asked = ("curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "30", f"{origin}/readyz")
    for number in range(1, patience.tries):
        try:
            run(*asked)
        except DeploymentError as problem:
            patience.pause(number, str(problem))
        else:
            return
    try:
        run(*asked)
    except DeploymentError as problem:
        raise DeploymentError(f"{problem}; python -m ganglion doctor --app NAME says what is missing") from None
