"""Runs one step of a deployment: `python -m scripts.deployment STEP [--dry-run]`."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from typing import Final

from scripts.deployment import entra
from scripts.deployment.commands import Commands, DeploymentError, rehearsed, run
from scripts.deployment.rehearsal import ENVIRONMENT, answer_of
from scripts.deployment.steps import before_provision, before_removal, check

type Step = Callable[[Commands, Mapping[str, str]], None]


def show_applications(commands: Commands, environment: Mapping[str, str]) -> None:
    for line in entra.table(commands, environment["AZURE_ENV_NAME"]):
        sys.stdout.write(f"{line}\n")


def create_applications(commands: Commands, environment: Mapping[str, str]) -> None:
    entra.apply(commands, environment["AZURE_ENV_NAME"])
    show_applications(commands, environment)


def remove_applications(commands: Commands, environment: Mapping[str, str]) -> None:
    entra.remove(commands, environment["AZURE_ENV_NAME"])


STEPS: Final[Mapping[str, Step]] = {
    "check": check,
    "before-provision": before_provision,
    "before-removal": before_removal,
    "entra-show": show_applications,
    "entra-create": create_applications,
    "entra-remove": remove_applications,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.deployment")
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--dry-run", action="store_true", help="print each command line instead of running it")
    options = parser.parse_args()
    given = {name: value for name, value in os.environ.items() if name.startswith(("AZURE_", "GOOGLE_", "GANGLION_"))}
    commands, environment = (rehearsed(answer_of), ENVIRONMENT | given) if options.dry_run else (run, given)
    if not environment.get("AZURE_ENV_NAME"):
        sys.exit("deployment: AZURE_ENV_NAME is not set; azd sets it, or give the name of your environment")
    try:
        STEPS[options.step](commands, environment)
    except DeploymentError as problem:
        sys.exit(f"deployment: {problem}")


if __name__ == "__main__":
    main()
