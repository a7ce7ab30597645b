"""Does the file of the pipelines say what is wrong in it, all at once?"""

from decimal import Decimal

import pytest

from domain.config.pipelines.pipelines_toml import pipelines_from_toml
from domain.errors import ConfigurationError
from domain.files.storage_places import storage_place
from domain.pipelines.pipeline import Sink, SinkKind, TriggerKind
from domain.pipelines.queue_trigger import QueueTrigger

RIGHT = """
[pipelines.tickets]
trigger = "cloudevents"
input = "data.text"
model = "small"
tier = "2"
instructions = "Summarize."
sources = ["orders", "handbook"]
tools = { shop = ["find_order"] }
format = { type = "text" }
temperature = 0.0
owner = { tenant = "t", app = "%APP%" }
budgets = { response = "0.05" }
sink = { webhook = "main" }
trusted = true

[pipelines.morning]
trigger = "schedule"
schedule = "0 30 6 * * mon-fri"
input = "Report."
owner = { tenant = "t", app = "a" }

[pipelines.off]
trigger = "cloudevents"
owner = { tenant = "t", app = "%UNSET%" }
"""
WRONG = """
[pipelines.Tickets]
trigger = "cloudevents"
input = "data..text"
owner = { tenant = "t" }
sink = { webhook = "main", conversation = "c", queue = "q" }
budgets = { week = "5" }
colour = "red"

[pipelines.queue]
trigger = "queue"
queue = "Orders"
connection = "7"
steps = []
owner = { tenant = "t", app = "a" }

[pipelines.timed]
trigger = "schedule"
schedule = "0 0 6 31 2 *"
owner = { tenant = "t", app = "a" }
"""


def test_a_file_is_read() -> None:
    known = pipelines_from_toml(RIGHT, {"APP": "shop"}).known
    assert list(known) == ["tickets", "morning"]
    tickets, morning = known["tickets"], known["morning"]
    assert (tickets.owner.tenant, tickets.owner.subject) == ("t", "app:shop")
    assert tickets.input == ("data", "text")
    assert tickets.sink == Sink(kind=SinkKind.WEBHOOK, target="main")
    assert tickets.steps[0].body["metadata"] == {"sources": "orders,handbook", "tier": "2"}
    assert tickets.steps[0].body["tools"] == [{"type": "mcp", "server_label": "shop", "allowed_tools": ["find_order"]}]
    assert (tickets.trusted, str(tickets.response_budget)) == (True, "0.05")
    assert (morning.trigger, morning.schedule, morning.text) == (TriggerKind.SCHEDULE, "0 30 6 * * mon-fri", "Report.")
    assert (morning.model, morning.trusted, morning.response_budget) == ("auto", False, None)


QUEUES = """
[pipelines.orders]
trigger = "queue"
queue = "orders"
owner = { tenant = "t", app = "a" }
sink = { queue = "https://%ACCOUNT%.queue.core.windows.net/answers" }

[pipelines.mail]
trigger = "queue"
queue = "%MAIL%"
connection = "MAIL_STORAGE"
owner = { tenant = "t", app = "a" }
sink = { blob = "https://127.0.0.1:10000/devstoreaccount1/mail" }
"""


def test_queues_and_places_of_answers_are_read() -> None:
    known = pipelines_from_toml(QUEUES, {"ACCOUNT": "shop", "MAIL": "mail"}).known
    assert known["orders"].queue == QueueTrigger(name="orders", connection="AzureWebJobsStorage")
    assert known["orders"].sink == Sink(kind=SinkKind.QUEUE, target="https://shop.queue.core.windows.net/answers")
    assert known["mail"].queue == QueueTrigger(name="mail", connection="MAIL_STORAGE")
    assert storage_place(known["mail"].sink.target) == ("https://127.0.0.1:10000/devstoreaccount1", "mail")
    assert (known["orders"].receiver, known["mail"].receiver) == ("sink_orders", "sink_mail")
    assert list(pipelines_from_toml(QUEUES, {"ACCOUNT": "shop"}).known) == ["orders"]


@pytest.mark.parametrize(
    "address",
    [
        "http://shop.blob.core.windows.net/mail",
        "https://shop.blob.core.windows.net/Mail",
        "https://shop.blob.core.windows.net/mail?sig=key",
        "https://user@shop.blob.core.windows.net/mail",
        "mail",
    ],
)
def test_an_address_of_no_container_is_named(address: str) -> None:
    text = QUEUES.replace("https://127.0.0.1:10000/devstoreaccount1/mail", address)
    with pytest.raises(ConfigurationError, match=r"pipelines\.mail\.sink\.blob: expected") as raised:
        pipelines_from_toml(text, {"ACCOUNT": "shop", "MAIL": "mail"})
    assert "sig=" not in str(raised.value)
    assert "user@" not in str(raised.value)
    assert ("without a key" in str(raised.value)) is not address.endswith("/Mail")


STEPS = """
[pipelines.tickets]
trigger = "cloudevents"
model = "small"
sources = ["orders"]
tools = { shop = ["close_shop"] }
approval_wait_s = 3600
owner = { tenant = "t", app = "a" }
budgets = { day = "5", month = "50.5" }

[[pipelines.tickets.steps]]
name = "classify"
instructions = "Classify."
format = { type = "json_schema", name = "topic", schema = { type = "object" } }
tools = {}

[[pipelines.tickets.steps]]
name = "answer"
model = "large"
sources = []
"""
WRONG_STEPS = STEPS.replace('"answer"', '"classify"').replace("sources = []", 'sink = "x"').replace("3600", "1728001")


def test_a_step_is_as_its_pipeline_in_what_it_does_not_say() -> None:
    tickets = pipelines_from_toml(STEPS, {}).known["tickets"]
    classify, answer = tickets.steps
    assert (classify.name, answer.name, tickets.model) == ("classify", "answer", "small")
    assert classify.body["instructions"] == "Classify."
    assert classify.body["text"]["format"]["name"] == "topic"
    assert classify.body["metadata"] == {"sources": "orders", "approval_wait_s": "3600"}
    assert classify.body["tools"] == []
    assert (answer.body["model"], answer.body["metadata"]) == ("large", {"approval_wait_s": "3600"})
    assert answer.body["tools"] == [{"type": "mcp", "server_label": "shop", "allowed_tools": ["close_shop"]}]
    assert "instructions" not in answer.body
    assert "text" not in answer.body
    budgets = (tickets.response_budget, tickets.day_budget, tickets.month_budget)
    assert budgets == (None, Decimal(5), Decimal("50.5"))


def test_mistakes_in_steps_are_named_with_their_numbers() -> None:
    with pytest.raises(ConfigurationError) as raised:
        pipelines_from_toml(WRONG_STEPS, {})
    places = {problem.partition(":")[0] for problem in raised.value.problems}
    assert places == {
        "pipelines.tickets.approval_wait_s",
        "pipelines.tickets.steps[0].approval_wait_s",
        "pipelines.tickets.steps[1].approval_wait_s",
        "pipelines.tickets.steps[1].name",
        "pipelines.tickets.steps[1].sink",
    }


@pytest.mark.parametrize("steps", ["[]", "7", "[7]", "{}"])
def test_a_list_of_steps_has_at_least_one_table(steps: str) -> None:
    with pytest.raises(ConfigurationError, match=r"pipelines\.tickets\.steps"):
        pipelines_from_toml(
            f'[pipelines.tickets]\ntrigger = "cloudevents"\nsteps = {steps}\nowner = {{ tenant = "t", app = "a" }}\n',
            {},
        )


def test_every_mistake_is_named_with_its_table_and_field() -> None:
    with pytest.raises(ConfigurationError) as raised:
        pipelines_from_toml(WRONG, {})
    places = [problem.partition(":")[0] for problem in raised.value.problems]
    assert places == [
        "pipelines.Tickets",
        "pipelines.Tickets.budgets.week",
        "pipelines.Tickets.owner.app",
        "pipelines.Tickets.input",
        "pipelines.Tickets.sink.queue",
        "pipelines.Tickets.sink",
        "pipelines.Tickets.colour",
        "pipelines.queue.steps",
        "pipelines.queue.queue",
        "pipelines.queue.connection",
        "pipelines.timed.schedule",
        "pipelines.timed.input",
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("instructions", "2020-01-01"),
        ("temperature", "nan"),
        ("max_output_tokens", "07:32:00"),
        ("format", "2020-01-01"),
        ("format", '{ type = "json_schema", name = "x", schema = { type = "object", default = 2020-01-01 } }'),
        ("format", '{ type = "json_schema", name = "x", schema = { type = "number", maximum = inf } }'),
    ],
)
def test_a_value_that_no_request_can_have_is_named(key: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"pipelines\.tickets\.{key}: expected values that JSON has"):
        pipelines_from_toml(
            f'[pipelines.tickets]\ntrigger = "cloudevents"\n{key} = {value}\nowner = {{ tenant = "t", app = "a" }}\n',
            {},
        )


@pytest.mark.parametrize("trigger", ["[]", "{}", "7", '"timer"'])
def test_a_trigger_of_another_kind_is_named(trigger: str) -> None:
    with pytest.raises(ConfigurationError, match=r"pipelines\.tickets\.trigger"):
        pipelines_from_toml(f'[pipelines.tickets]\ntrigger = {trigger}\nowner = {{ tenant = "t", app = "a" }}\n', {})
