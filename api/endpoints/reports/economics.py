"""What would the tenant's requests cost on an API, on rented GPUs and on owned hardware, as published last?"""

from azurefunctions.extensions.http.fastapi import Request, Response

from api.endpoints.reports.parameters import require_role
from api.http.authentication import Authenticator, owner_of
from api.http.conditional import conditional, tag_of
from api.http.errors import json_answer
from domain.identity.roles import AppRole
from state.money.economics_runs import EconomicsRuns


class EconomicsReports:
    """The HTTP function that returns the last published run of `python -m benches.economics`."""

    def __init__(self, *, authenticator: Authenticator, runs: EconomicsRuns) -> None:
        self.authenticator = authenticator
        self.runs = runs

    async def retrieve(self, req: Request) -> Response:
        """`GET /v1/economics`: both fields are null where the tenant has no published run."""
        owner = await owner_of(req, self.authenticator)
        require_role(owner, AppRole.USAGE_READ)
        run = await self.runs.latest(owner.tenant)
        body = {"published_at": run.at if run else None, "report": run.report if run else None}
        answer = json_answer({"object": "economics", **body})
        return conditional(req, answer, tag_of(bytes(answer.body)))
