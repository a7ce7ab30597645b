"""How does a test break the application that it examines, and what is found then?"""

from collections.abc import Callable

from ganglion.doctor.command import examine
from ganglion.doctor.outside import Answer
from tests.checks import every
from tests.ganglion.doctor.harness import Case

type Break = Callable[[Case], None]


HOST = "AzureFunctionsJobHost__extensions__durableTask__"

ABOUT_A_COUNT = {"gpu.count"}
"""Checks of backends with scaling = "count"."""


def setting(name: str, value: str) -> Callable[[Case], None]:
    def inject(case: Case) -> None:
        case.variables[name] = value

    return inject


def unset(name: str) -> Callable[[Case], None]:
    def inject(case: Case) -> None:
        del case.variables[name]

    return inject


def edit(name: str, old: str, new: str) -> Callable[[Case], None]:
    def inject(case: Case) -> None:
        case.edit(name, old, new)

    return inject


def answer(url: str, given: Answer) -> Callable[[Case], None]:
    def inject(case: Case) -> None:
        case.outside.answers[url] = given

    return inject


def unreachable(host: str) -> Callable[[Case], None]:
    def inject(case: Case) -> None:
        case.outside.unreachable.add(host)

    return inject


def addresses(host: str, *found: str) -> Callable[[Case], None]:
    def inject(case: Case) -> None:
        case.outside.addresses[host] = found

    return inject


async def found(case: Case) -> dict[str, list[str]]:
    results = await examine(case.subject())
    return {result.check.name: [fault.text for fault in result.faults] for result in results if result.faults}


async def check_that_names_alone(case: Case, break_it: Break) -> str:
    """Break an application, and return the name of the one check that has a fault; each fault names its fix."""
    break_it(case)
    (result,) = (each for each in await examine(case.subject()) if each.faults)
    assert every(fault.fix.strip() for fault in result.faults)
    return result.check.name
