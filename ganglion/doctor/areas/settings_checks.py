"""Are the settings right, each by itself and together?"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import ROUND_UP, Decimal
from typing import Final

from clients.identity.backend_credentials import KEY_VARIABLE, contains_secret, credential_problems
from composition.production import unknown_names
from composition.setting_names import HOST_PREFIX
from domain.errors import ConfigurationError
from domain.routing.estimates import AttemptLimits
from domain.routing.least_cost import too_small_budgets
from ganglion.doctor.findings import Fault, error, warning
from ganglion.doctor.subject import Subject
from settings import read_settings

CENT: Final = Decimal("0.01")
PLATFORM_CUTS_S: Final = 230
"""Azure's front end closes a request that is silent this long."""

PLATFORM_KILLS_S: Final = 600
"""The platform may end an activity this long after an update has begun."""

RESERVED: Final = (
    "ENABLE_ORYX_BUILD",
    "FUNCTIONS_EXTENSION_VERSION",
    "FUNCTIONS_WORKER_RUNTIME",
    "SCM_DO_BUILD_DURING_DEPLOYMENT",
    "TZ",
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
    "WEBSITE_CONTENTSHARE",
    "WEBSITE_RUN_FROM_PACKAGE",
)
"""https://learn.microsoft.com/azure/azure-functions/functions-app-settings: not supported by Flex Consumption."""

STRICT_TYPING: Final = "AZURE_FUNCTIONS_DURABLE_STRICT_TYPING"


def setting_of(problem: str) -> str:
    """Return the name of the variable with which a problem's text begins."""
    return problem.partition(":")[0].partition(" ")[0]


def problems_of(read: Callable[[], object]) -> tuple[str, ...]:
    try:
        read()
    except ConfigurationError as found:
        return found.problems
    return ()


def values(subject: Subject) -> Iterator[Fault]:
    for problem in problems_of(lambda: read_settings(subject.variables)):
        yield error(problem, subject.set_command(setting_of(problem), "VALUE"))


def misspelled_names(subject: Subject) -> Iterator[Fault]:
    for each in unknown_names(subject.settings):
        if each.is_error:
            value = f'"${each.name}"'
            rename = f"{subject.set_command(each.meant or '', value)} && {subject.remove_command(each.name)}"
            yield error(each.message, rename)


def unknown_setting_names(subject: Subject) -> Iterator[Fault]:
    for each in unknown_names(subject.settings):
        if not each.is_error and not is_host_setting(each.name):
            yield warning(each.message, subject.remove_command(each.name))


def unknown_host_names(subject: Subject) -> Iterator[Fault]:
    for each in unknown_names(subject.settings):
        if is_host_setting(each.name):
            yield warning(each.message, subject.remove_command(each.name))


def is_host_setting(name: str) -> bool:
    return name.casefold().startswith(HOST_PREFIX.casefold())


def strict_typing(subject: Subject) -> Iterator[Fault]:
    if subject.variables.get(STRICT_TYPING) != "1":
        text = f"{STRICT_TYPING} is not 1: durable values could be deserialized as classes"
        yield error(text, subject.set_command(STRICT_TYPING, "1"))


def reserved_names(subject: Subject) -> Iterator[Fault]:
    subject.needs_azure()
    for name in RESERVED:
        if name in subject.variables:
            yield error(f"{name} is set: Flex Consumption rejects it", subject.remove_command(name))


def budgets_exist(subject: Subject) -> Iterator[Fault]:
    subject.needs_azure()
    if not subject.settings.budgets.limits and subject.settings.budget_file is None:
        name = "GANGLION_BUDGET_TENANT_MONTH"
        yield warning("no budget limits what a tenant may spend", subject.set_command(name, "DOLLARS"))


def budget_sizes(subject: Subject) -> Iterator[Fault]:
    """A budget below the least worst case of a backend turns each of its turns down, or all turns."""
    settings = subject.settings
    limits = AttemptLimits(hold_s=settings.hold_s, handover_s=settings.handover_s)
    for each in too_small_budgets(subject.fleet, subject.budgets, limits):
        needed = str(max(each.needed.values()).quantize(CENT, rounding=ROUND_UP))
        is_setting = each.field.startswith("GANGLION_")
        fix = subject.set_command(each.field, needed) if is_setting else f"${{EDITOR:-vi}} {settings.budget_file}"
        yield error(each.message, fix) if each.excludes_all else warning(each.message, fix)


def synchronous_wait(subject: Subject) -> Iterator[Fault]:
    wait_s = subject.settings.sync_wait_s
    if wait_s >= PLATFORM_CUTS_S:
        text = f"GANGLION_SYNC_WAIT_S is {wait_s:g} s, but Azure closes a silent request after {PLATFORM_CUTS_S} s"
        yield error(text, subject.set_command("GANGLION_SYNC_WAIT_S", "200"))


def handover(subject: Subject) -> Iterator[Fault]:
    handover_s = subject.settings.handover_s
    if handover_s >= PLATFORM_KILLS_S:
        text = (
            f"GANGLION_HANDOVER_S is {handover_s:g} s, but the platform may end an activity after {PLATFORM_KILLS_S} s"
        )
        yield error(text, subject.set_command("GANGLION_HANDOVER_S", "480"))


def stream_limit(subject: Subject) -> Iterator[Fault]:
    timeout_s = seconds_of(str(subject.host_setting("functionTimeout") or "00:30:00"))
    if subject.settings.stream_s >= timeout_s:
        stream_s = f"{subject.settings.stream_s:g}"
        text = f"GANGLION_STREAM_S is {stream_s} s, but functionTimeout ends a stream after {timeout_s:g} s"
        yield error(text, subject.set_command("GANGLION_STREAM_S", f"{max(1.0, timeout_s - 300):g}"))


def seconds_of(span: str) -> float:
    """Return the seconds of a .NET time span without days, hh:mm:ss; -1 means no limit."""
    if span == "-1":
        return float("inf")
    hours, minutes, seconds = (float(part) for part in span.split(":"))
    return timedelta(hours=hours, minutes=minutes, seconds=seconds).total_seconds()


def sweeper_delays(subject: Subject) -> Iterator[Fault]:
    settings = subject.settings
    if settings.sweep_silent_s <= settings.handover_s:
        text = (
            f"GANGLION_SWEEP_SILENT_S ({settings.sweep_silent_s:g} s) is not above GANGLION_HANDOVER_S "
            f"({settings.handover_s:g} s): the sweeper could fail a turn that still waits for its first words"
        )
        yield error(text, subject.set_command("GANGLION_SWEEP_SILENT_S", "900"))


def credential_settings(subject: Subject) -> Iterator[Fault]:
    settings = subject.settings
    for problem in credential_problems(subject.fleet, settings.federation, settings.aws, settings.variables):
        if not problem.startswith(KEY_VARIABLE):
            name = problem.rpartition(" ")[2] if " needs " in problem else problem.partition("variable ")[2].split()[0]
            yield error(problem, subject.set_command(name, "VALUE"))


def key_files(subject: Subject) -> Iterator[Fault]:
    if contains_secret(subject.variables.get(KEY_VARIABLE)):
        text = f"{KEY_VARIABLE} names a file with a secret: the app signs in without keys"
        yield error(text, subject.remove_command(KEY_VARIABLE))
