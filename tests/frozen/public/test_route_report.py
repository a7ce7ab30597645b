"""Does the public account of a turn have the JSON that it had in the first release?"""

from typing import Any

from api.endpoints.reports.route import budget_report, report
from api.rendering.turn_timeline import TurnAccount
from clients.storage.port import Container
from domain.money.bill import bill_of
from domain.money.budgets import BudgetCounter, BudgetScope
from domain.routing.route_record import route_to_document
from tests.frozen.documents import as_json, frozen, frozen_json
from tests.frozen.objects import ATTEMPT, FETCHED, NOW, RESERVATION, RESPONSE, ROUTE, WAIT
from tests.frozen.turns.test_turns import without_prose

ADDED = frozenset({"warm-up", "waiting", "taken over"})
"""The steps that later releases added to the timeline."""


def shown() -> dict[str, Any]:
    route = {**route_to_document(ROUTE), "wait": WAIT.to_document()}
    routes = [{**frozen(Container.TURNS, "route").body, "at": NOW + 2, "route": route}]
    sources = [each.to_document() for each in FETCHED]
    counter = BudgetCounter(id="budget_tenant_2027-01-15", scope=BudgetScope.TENANT_DAY, limit=10_000_000_000)
    account = TurnAccount(turn=RESPONSE, routes=routes, attempts=(ATTEMPT,))
    told = report(account, bill_of((ATTEMPT,), RESERVATION), sources)
    return as_json({**told, "budgets": [budget_report(counter, 4_200_000)]})


def comparable(account: dict[str, Any]) -> dict[str, Any]:
    """Return an account without sentences, whose wording may change, and without steps that came later."""
    timeline = [moment["at"] for moment in account["timeline"] if moment["step"] not in ADDED]
    routes = [without_prose(route) for route in account["routes"]]
    return {**account, "route": without_prose(account["route"]), "routes": routes, "timeline": timeline}


def test_the_account_of_a_turn_has_the_json_that_it_had() -> None:
    assert comparable(shown()) == comparable(frozen_json("public/route_record"))


def test_the_account_has_no_more_and_no_fewer_fields_than_it_had() -> None:
    before, now = frozen_json("public/route_record"), shown()
    assert [each.keys() for each in now["route"]["candidates"]] == [
        each.keys() for each in before["route"]["candidates"]
    ]
