"""Runs one step of a deployment: `python -m scripts.deployment STEP [--dry-run]`."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from typing import Final

from scripts.deployment import entra
from scripts.deployment.commands import CommandRunner, DeploymentError, rehearsed, run
from scripts.deployment.patience import Patience, patient, wait_until_ready
from scripts.deployment.rehearsal import ENVIRONMENT, answer_of
from scripts.deployment.steps import before_provision, before_removal, check

ORIGIN: Final = "GANGLION_URL"
AFTER_DEPLOYMENT: Final = "after-deployment"

type Step = Callable[[CommandRunner, Mapping[str, str]], None]


def show_applications(commands: CommandRunner, environment: Mapping[str, str]) -> None:
    for line in entra.table(commands, environment["AZURE_ENV_NAME"]):
        sys.stdout.write(f"{line}\n")


def create_applications(commands: CommandRunner, environment: Mapping[str, str]) -> None:
    entra.apply(commands, environment["AZURE_ENV_NAME"])
    show_applications(commands, environment)


def remove_applications(commands: CommandRunner, environment: Mapping[str, str]) -> None:
    entra.remove(commands, environment["AZURE_ENV_NAME"])


def after_deployment(commands: CommandRunner, environment: Mapping[str, str]) -> None:
    """Wait until the new app answers: its identity's roles may arrive some minutes after it."""
    origin = environment.get(ORIGIN, "")
    if not origin:
        raise DeploymentError(f"{ORIGIN} is not set; azd sets it to an output of infra/azure/main.bicep")
    wait_until_ready(commands, origin, Patience())
    sys.stdout.write(f"base_url of an OpenAI SDK: {origin}/v1\n")


STEPS: Final[Mapping[str, Step]] = {
    "check": check,
    "before-provision": before_provision,
    AFTER_DEPLOYMENT: after_deployment,
    "before-removal": before_removal,
    "entra-show": show_applications,
    "entra-create": create_applications,
    "entra-remove": remove_applications,
}

ABOUT_STEPS: Final = """
steps:
  check             check the sign-in and the settings before anything is created
  before-provision  create the identity, the applications in Entra and Google's part (azd runs it)
  after-deployment  wait until the new app answers (azd runs it)
  before-removal    remove Google's part and the applications (azd down runs it)
  entra-show        list the applications in Entra and their roles
  entra-create      create the applications, or what they lack
  entra-remove      remove the applications

With make: make deployment STEP=check, and DRY_RUN=1 for --dry-run.
"""


def read_options() -> argparse.Namespace:
    """Return the options of the command line; without a step, print the help and end."""
    about = "Run one step of a deployment."
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m scripts.deployment", description=about, epilog=ABOUT_STEPS, formatter_class=form
    )
    parser.add_argument("step", nargs="?", choices=STEPS, metavar="STEP", help="one of the steps below")
    parser.add_argument("--dry-run", action="store_true", help="print each command line instead of running it")
    options = parser.parse_args()
    if options.step is None:
        parser.print_help(sys.stderr)
        sys.exit(2)
    return options


def main() -> None:
    options = read_options()
    given = {name: value for name, value in os.environ.items() if name.startswith(("AZURE_", "GOOGLE_", "GANGLION_"))}
    # The last step waits by itself, for whatever reason the app is not ready.
    commands, environment = run if options.step == AFTER_DEPLOYMENT else patient(run, Patience()), given
    if options.dry_run:
        commands, environment = rehearsed(answer_of), ENVIRONMENT | given
    if not environment.get("AZURE_ENV_NAME"):
        sys.exit("deployment: AZURE_ENV_NAME is not set; azd sets it, or give the name of your environment")
    try:
        STEPS[options.step](commands, environment)
    except DeploymentError as problem:
        sys.exit(f"deployment: {problem}")


if __name__ == "__main__":
    main()
