"""Which clouds does a test deploy into?"""

import json
from collections.abc import Sequence
from typing import Any

from scripts.deployment.commands import DeploymentError
from scripts.deployment.patience import Patience
from scripts.deployment.rehearsal import answer_of


class FakeClouds:
    """Records command lines; remembers the applications, so that a second run finds them."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.applications: dict[str, dict[str, Any]] = {}

    def __call__(self, *command: str, succeeds: bool = True) -> str:
        self.calls.append(command)
        match command:
            case ("az", "ad", "app", "list", "--display-name", name, *_):
                return json.dumps([each for key, each in self.applications.items() if key.startswith(name)])
            case ("az", "ad", "app", "create", "--display-name", name, *_):
                number = str(len(self.applications))
                self.applications[name] = {"displayName": name, "id": f"object-{number}", "appId": f"app-{number}"}
                return json.dumps(self.applications[name])
            case ("az", "rest", "--method", "PATCH", "--url", url, "--body", body):
                self.found("id", url.rpartition("/")[2]).update(json.loads(body))
                return ""
            case ("az", "ad", "app", "show", "--id", app_id, *_):
                return json.dumps({"appRoles": []} | self.found("appId", app_id))
            case ("az", "ad", "app", "delete", "--id", app_id):
                del self.applications[self.found("appId", app_id)["displayName"]]
                return ""
            case _:
                return answer_of(command)

    def found(self, field: str, value: str) -> dict[str, Any]:
        return next(each for each in self.applications.values() if each[field] == value)

    def called(self, *start: str) -> list[tuple[str, ...]]:
        return [call for call in self.calls if call[: len(start)] == start]


def programs(calls: Sequence[tuple[str, ...]]) -> list[str]:
    return [call[0] for call in calls]


class SlowClouds(FakeClouds):
    """Answers commands that begin with `late` only after some tries, with what a cloud says until then."""

    def __init__(self, *late: str, tries: int, message: str) -> None:
        super().__init__()
        self.late = late
        self.tries = tries
        self.message = message

    def __call__(self, *command: str, succeeds: bool = True) -> str:
        if command[: len(self.late)] == self.late and self.tries:
            self.tries -= 1
            self.calls.append(command)
            raise DeploymentError(f"{command[0]} failed: {self.message}")
        return super().__call__(*command, succeeds=succeeds)


def quick(said: list[str], tries: int = 4) -> Patience:
    return Patience(tries=tries, say=said.append, sleep=lambda _: None)
