"""Is the field `scaling` with its table of instances read, and is every mistake in them named?"""

from copy import replace

import pytest

from domain.config.fleet_toml import fleet_from_toml
from domain.fleet.catalog import Backend
from domain.fleet.instances.scaling import CLOUD_RUN, DAY_S, CountLimits, InstanceControl, Scaling, ScheduleRow
from tests.domain.config.test_fleet_toml import GOOD, VARIABLES, problems_of
from tests.domain.fleets import PRICES

COLD = 'cold = { scales_to_zero = true, p50_s = 20, p99_s = 60, idle_s = 10 }\nscaling = "count"\n'
SERVICE = '\n[backends.one.instances]\nservice = "projects/p/locations/europe-west4/services/llm"\n'
ROW = "\n[[backends.one.instances.schedule]]\n"
MONDAY = 4 * DAY_S
"""The first Monday after the epoch."""


def read(text: str, **variables: str) -> Backend:
    return fleet_from_toml(text, {**VARIABLES, **variables}, PRICES).backends["one"]


def test_a_provider_scales_unless_the_file_says_otherwise() -> None:
    one = read(GOOD)
    assert (one.scaling, one.instances) == (Scaling.PROVIDER, None)


def test_a_counted_backend_names_its_service() -> None:
    one = read(GOOD + COLD + SERVICE)
    assert one.scaling is Scaling.COUNT
    control = InstanceControl(service="projects/p/locations/europe-west4/services/llm", url=CLOUD_RUN)
    assert one.instances == control
    assert control.limits(0.0) == CountLimits(minimum=0, maximum=1)


def test_the_service_may_come_from_a_variable() -> None:
    text = GOOD + COLD + SERVICE.replace("projects/p", "projects/%PROJECT%")
    found = read(text, PROJECT="mine").instances
    assert found
    assert found.service.startswith("projects/mine/")
    assert fleet_from_toml(text, VARIABLES, PRICES).unconfigured[0].variable == "PROJECT"


def test_requests_need_no_service() -> None:
    assert read(GOOD + COLD.replace("count", "requests")).scaling is Scaling.REQUESTS


def test_a_schedule_has_limits_by_day_and_time() -> None:
    payer = 'payer = "11111111-1111-1111-1111-111111111111"\n'
    rows = f'{ROW}days = ["mon", "tue"]\nfrom = "08:00"\nto = "18:30"\nminimum = 1\n{ROW}maximum = 0\n'
    found = read(GOOD + COLD + SERVICE + payer + rows).instances
    assert found
    assert found.schedule == (
        ScheduleRow(
            days=frozenset({0, 1}), begins_s=8 * 3600, ends_s=18 * 3600 + 1800, limits=CountLimits(minimum=1, maximum=1)
        ),
        ScheduleRow(days=frozenset(range(7)), limits=CountLimits(minimum=0, maximum=0)),
    )
    assert found.limits(MONDAY + 8 * 3600) == CountLimits(minimum=1, maximum=1)
    assert found.limits(MONDAY + 18 * 3600 + 1800) == CountLimits(minimum=0, maximum=0)
    assert found.limits(MONDAY + 2 * DAY_S + 9 * 3600).maximum == 0
    assert found.next_change(MONDAY + 9 * 3600) == MONDAY + 18 * 3600 + 1800
    assert found.next_change(MONDAY + 2 * DAY_S) == MONDAY + 7 * DAY_S + 8 * 3600
    assert found.closed(MONDAY) == "its schedule allows no instance until 1970-01-05 08:00 UTC"
    assert found.closed(MONDAY + 9 * 3600) is None


SEVERAL = "max_instances = 3\n"


def test_several_instances_are_allowed_where_the_file_says_so() -> None:
    assert read(GOOD).max_instances == 1
    one = read(GOOD + COLD + SEVERAL + SERVICE + f'{ROW}from = "08:00"\n{ROW}maximum = 2\n')
    assert one.max_instances == 3
    assert one.instances
    assert one.instances.limits(MONDAY + 9 * 3600) == CountLimits(minimum=0, maximum=3)
    assert one.instances.limits(MONDAY) == CountLimits(minimum=0, maximum=2)
    assert replace(one.instances, schedule=()).limits(MONDAY) == CountLimits(minimum=0, maximum=3)
    inferred = read(GOOD + COLD.replace('scaling = "count"\n', "") + SEVERAL)
    assert (inferred.scaling, inferred.max_instances) == (Scaling.PROVIDER, 3)


TABLE = "backends.one.instances"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            GOOD + COLD.replace("count", "manual") + SERVICE,
            "backends.one.scaling: expected one of provider, requests, count, found 'manual'",
        ),
        (GOOD + COLD, 'backends.one.instances: expected a table of a backend with scaling = "count", and of no other'),
        (GOOD + SERVICE, 'backends.one.instances: expected a table of a backend with scaling = "count"'),
        (
            GOOD + COLD + SERVICE.replace("services", "service"),
            f"{TABLE}.service: expected projects/PROJECT/locations/REGION/services/SERVICE, found",
        ),
        (GOOD + COLD + SERVICE + 'url = "run.googleapis.com"\n', f"{TABLE}.url: expected http(s)://host[:port], found"),
        (GOOD + COLD + SERVICE + "minimum = 1\n", f"{TABLE}.minimum: expected one of the fields "),
        (
            GOOD + COLD + SERVICE + ROW + 'days = ["monday"]\n',
            f"{TABLE}.schedule[0].days: expected a list of mon, tue, wed, thu, fri, sat, sun, without 'monday', found",
        ),
        (
            GOOD + COLD + SERVICE + ROW + 'from = "8:00"\n',
            f"{TABLE}.schedule[0].from: expected a time of the day in UTC, such as \"07:30\", found '8:00'",
        ),
        (
            GOOD + COLD + SERVICE + ROW + 'from = "22:00"\nto = "06:00"\n',
            f"{TABLE}.schedule[0].to: expected a time after from; two rows cover a night, found '06:00'",
        ),
        (
            GOOD + COLD + SERVICE + ROW + "maximum = 2\n",
            f"{TABLE}.schedule[0].maximum: expected a whole number from 0 to 1, found 2",
        ),
        (
            GOOD + COLD + SERVICE + 'payer = "t"\n' + ROW + "minimum = 1\nmaximum = 0\n",
            f"{TABLE}.schedule[0].maximum: expected no less than minimum, found 0",
        ),
        (
            GOOD + COLD + SERVICE + ROW + "minimum = 1\n",
            f"{TABLE}.payer: expected the tenant that pays for instances which run because of a minimum, found nothing",
        ),
        (
            GOOD + COLD.replace("true", "false") + SERVICE,
            "backends.one.scaling: expected provider: only a backend with cold.scales_to_zero can have count, found",
        ),
        (
            (GOOD + COLD + SERVICE).replace('"gpu"', '"api"'),
            "backends.one.scaling: expected provider: a backend that is paid by tokens has no sessions for count",
        ),
        (
            GOOD + COLD + "max_instances = 11\n" + SERVICE,
            "backends.one.max_instances: expected a whole number from 1 to 10, found 11",
        ),
        (
            GOOD + COLD + "max_instances = 0\n" + SERVICE,
            "backends.one.max_instances: expected a whole number from 1 to",
        ),
        (
            GOOD + COLD + SEVERAL + SERVICE + ROW + "maximum = 4\n",
            f"{TABLE}.schedule[0].maximum: expected a whole number from 0 to 3, found 4",
        ),
        (
            GOOD + COLD.replace("count", "requests") + SEVERAL,
            "backends.one.max_instances: expected 1: requests keep one instance alive, found 3",
        ),
        (
            GOOD + SEVERAL,
            "backends.one.max_instances: expected 1: instances that never sleep are one backend with the limits of all",
        ),
        (
            (GOOD + COLD + SEVERAL + SERVICE).replace('"gpu"', '"api"'),
            "backends.one.max_instances: expected 1: a backend that is paid by tokens has no sessions, found 3",
        ),
        (
            GOOD + COLD.replace(", idle_s = 10", "") + SERVICE,
            "backends.one.cold: expected idle_s above 0: count begins with this idle period, found",
        ),
    ],
)
def test_a_mistake_is_named_with_its_table_and_field(text: str, problem: str) -> None:
    assert any(each.startswith(problem) for each in problems_of(text)), problems_of(text)


def test_two_backends_count_no_service_together() -> None:
    one = GOOD + COLD + SERVICE
    start = one.index("[backends.one]")
    both = one + one[start:].replace("backends.one", "backends.two")
    assert problems_of(both) == (
        "backends.two.instances.service: expected a service of its own, found that of backends.one",
    )
    apart = one + one[start:].replace("backends.one", "backends.two").replace("/llm", "/other")
    assert set(fleet_from_toml(apart, VARIABLES, PRICES).backends) == {"one", "two"}


def test_a_token_for_the_service_is_sent_over_https_or_stays_on_this_machine() -> None:
    problem = "backends.one.instances.url: expected an https address to send a token to, found 'http://10.0.0.7'"
    assert problems_of(f'{GOOD}{COLD}{SERVICE}url = "http://10.0.0.7"\n') == (problem,)
    local = read(f'{GOOD}{COLD}{SERVICE}url = "http://127.0.0.1:8080"\n').instances
    assert local
    assert local.url == "http://127.0.0.1:8080"


def test_the_account_that_counts_is_that_of_a_service() -> None:
    assert problems_of(f'{GOOD}{COLD}{SERVICE}service_account = "a/../b"\n')
