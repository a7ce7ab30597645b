"""What does the file of the fleet say about the instances of a backend, and what is wrong with it?"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from domain.config.backend_auth import check_service_account
from domain.config.toml_table import VARIABLE, TomlTable, expanded, good_url, private
from domain.fleet.catalog import Backend
from domain.fleet.instances.scaling import CLOUD_RUN, DAY_S, DAYS, CountLimits, InstanceControl, Scaling, ScheduleRow
from domain.money.prices import TimePrice

SERVICE: Final = re.compile(r"projects/[a-z0-9:.-]{1,64}/locations/[a-z0-9-]{1,64}/services/[a-z0-9-]{1,64}")
TIME: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")
MOST_INSTANCES: Final = 10
"""Each instance has sessions of its own, which every attempt at the backend reads."""


def read_max_instances(table: TomlTable) -> int:
    """Return how many instances of a backend may run at once."""
    return read_count(table, "max_instances", 1, least=1, most=MOST_INSTANCES)


def read_instances(table: TomlTable, variables: Mapping[str, str], maximum: int) -> InstanceControl | None:
    """Return the service whose instances the product counts; None where the table `instances` is absent."""
    if "instances" not in table.values:
        table.known.add("instances")
        return None
    own = table.table("instances")
    service = expanded(own.text("service"), variables)
    if service and not VARIABLE.search(service) and not SERVICE.fullmatch(service):
        own.report("service", "projects/PROJECT/locations/REGION/services/SERVICE")
    url = expanded(own.text("url", CLOUD_RUN), variables).rstrip("/")
    if not VARIABLE.search(url) and not good_url(url):
        own.report("url", "http(s)://host[:port]")
    if not private(url):
        own.problems.append(f"{own.path}.url: expected an https address to send a token to, found {url!r}")
    control = InstanceControl(
        service=service,
        url=url,
        service_account=own.optional("service_account", own.text),
        schedule=tuple(read_row(row, maximum) for row in own.rows("schedule")),
        payer=own.optional("payer", own.text),
        maximum=maximum,
    )
    check_service_account(control.service_account, own)
    if control.payer is None and any(row.limits.minimum for row in control.schedule):
        own.report("payer", "the tenant that pays for instances which run because of a minimum")
    own.close()
    return control


def read_row(table: TomlTable, most: int) -> ScheduleRow:
    names = table.texts("days") if "days" in table.values else tuple(DAYS)
    table.known.add("days")
    if unknown := [name for name in names if name not in DAYS]:
        table.report("days", f"a list of {', '.join(DAYS)}, without {unknown[0]!r}")
    begins_s, ends_s = read_time(table, "from", "00:00"), read_time(table, "to", "24:00")
    if begins_s >= ends_s:
        table.report("to", "a time after from; two rows cover a night")
    minimum, maximum = (read_count(table, "minimum", 0, most=most), read_count(table, "maximum", most, most=most))
    limits = CountLimits(minimum=minimum, maximum=maximum)
    if limits.minimum > limits.maximum:
        table.report("maximum", "no less than minimum")
    table.close()
    days = frozenset(DAYS[name] for name in names if name in DAYS)
    return ScheduleRow(days=days, begins_s=begins_s, ends_s=ends_s, limits=limits)


def read_count(table: TomlTable, key: str, default: int, *, least: int = 0, most: int) -> int:
    def accept(value: object) -> int | None:
        return value if type(value) is int and least <= value <= most else None

    return table.read(key, f"a whole number from {least} to {most}", accept, default, default)


def read_time(table: TomlTable, key: str, default: str) -> int:
    """Return the seconds of the day of a time in UTC, such as 07:30."""
    text = table.text(key, default)
    if not TIME.fullmatch(text):
        table.report(key, 'a time of the day in UTC, such as "07:30"')
        text = default
    hours, minutes = text.split(":")
    return min(int(hours) * 3600 + int(minutes) * 60, DAY_S)


def shared_services(backends: Iterable[Backend]) -> Iterator[str]:
    """Yield a problem for each backend whose service another one counts too: one would end it under the other."""
    counted: dict[tuple[str, str], str] = {}
    for each in backends:
        if each.instances and each.instances.service:
            first = counted.setdefault((each.instances.url, each.instances.service), each.name)
            if first != each.name:
                name = f"backends.{each.name}.instances.service"
                yield f"{name}: expected a service of its own, found that of backends.{first}"


def check_scaling(backend: Backend, table: TomlTable) -> None:
    """Report what the value of `scaling` needs."""
    scaling, cold = backend.scaling, backend.cold_start
    if (scaling is Scaling.COUNT) != (backend.instances is not None):
        table.report("instances", 'a table of a backend with scaling = "count", and of no other')
    if backend.max_instances > 1:
        check_several(backend, table)
    if scaling is Scaling.PROVIDER:
        return
    if not cold.scales_to_zero:
        table.report("scaling", f"provider: only a backend with cold.scales_to_zero can have {scaling.value}")
    if not isinstance(backend.price, TimePrice) and backend.price.name:
        table.report("scaling", f"provider: a backend that is paid by tokens has no sessions for {scaling.value}")
    if not cold.idle_s:
        table.report("cold", f"idle_s above 0: {scaling.value} begins with this idle period")


def check_several(backend: Backend, table: TomlTable) -> None:
    """Report what several instances need: sessions that are told apart by what they cost."""
    if backend.scaling is Scaling.REQUESTS:
        table.report("max_instances", "1: requests keep one instance alive")
    if not backend.cold_start.scales_to_zero:
        table.report("max_instances", "1: instances that never sleep are one backend with the limits of all")
    if not isinstance(backend.price, TimePrice) and backend.price.name:
        table.report("max_instances", "1: a backend that is paid by tokens has no sessions")
