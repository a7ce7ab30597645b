"""Which addresses does the stand-in for Entra and Google serve?"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from standins.issuer import aws, entra
from standins.issuer.conditions import GARBAGE, HANG, changed
from standins.issuer.console import authorize, console_sign_in, kill_worker
from standins.issuer.google import GoogleTokenService
from standins.issuer.google_tokens import google_key_in
from standins.issuer.issuer_state import IssuerState
from standins.json_values import body_object

type HopHandler = Callable[[IssuerState, web.Request], Awaitable[web.Response]]
type WebHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ACCOUNT = "/v1/projects/-/serviceAccounts/{account}"


def application(data: Path, clock: Callable[[], float]) -> web.Application:
    state, google = IssuerState(data, clock), GoogleTokenService(google_key_in(data))
    app = web.Application()
    for method, path, name, hop in (
        ("GET", "/{tenant}/.well-known/openid-configuration", "discovery", entra.discovery("1.0")),
        ("GET", "/{tenant}/v2.0/.well-known/openid-configuration", "discovery", entra.discovery("2.0")),
        ("GET", "/{tenant}/discovery/keys", "keys", entra.keys("1.0")),
        ("GET", "/{tenant}/discovery/v2.0/keys", "keys", entra.keys("2.0")),
        ("POST", "/{tenant}/oauth2/token", "sign-in", entra.sign_in),
        ("POST", "/{tenant}/oauth2/v2.0/token", "sign-in", entra.sign_in),
        ("GET", "/{tenant}/oauth2/v2.0/authorize", "authorize", authorize),
        ("GET", "/msi/token", "managed-identity", entra.managed_identity),
        ("POST", "/v1/token", "sts", google.exchange),
        ("GET", f"{ACCOUNT}/allowedLocations", "allowed-locations", google.allowed_locations),
        ("GET", "/v1/projects/{rest:.*}/allowedLocations", "allowed-locations", google.allowed_locations),
        ("POST", f"{ACCOUNT}:generateAccessToken", "access-token", google.access_token),
        ("POST", f"{ACCOUNT}:generateIdToken", "id-token", google.id_token),
        ("POST", "/", "aws-sts", aws.assume_role),
        ("GET", "/oauth2/v3/certs", "google-keys", google.keys),
        ("GET", "/console", "console", console_sign_in),
        ("POST", "/console/worker/kill", "kill-worker", kill_worker),
    ):
        app.router.add_route(method, path, with_faults(state, name, hop))
    add_admin(app, state)
    return app


def with_faults(state: IssuerState, name: str, hop: HopHandler) -> WebHandler:
    """Counts the calls of a hop and applies its configured fault."""

    async def serve(request: web.Request) -> web.StreamResponse:
        call = state.record_call(name, request.path)
        fault = state.conditions.faults.get(name)
        response = await (hop(state, request) if fault is None else fault_response(fault))
        call.status = response.status
        return response

    return serve


async def fault_response(fault: str) -> web.Response:
    if fault == HANG:
        await asyncio.Event().wait()
    if fault == GARBAGE:
        return web.Response(text="<html>not the expected JSON</html>", content_type="text/html")
    return web.json_response({"error": "temporarily_unavailable"}, status=int(fault))


def add_admin(app: web.Application, state: IssuerState) -> None:
    async def conditions(_request: web.Request) -> web.Response:
        return web.json_response(state.conditions.to_json())

    async def change(request: web.Request) -> web.Response:
        try:
            state.conditions = changed(state.conditions, body_object(await request.read()))
        except ValueError as problem:
            return web.json_response({"error": str(problem)}, status=400)
        return await conditions(request)

    async def change_keys(request: web.Request) -> web.Response:
        await {"rotate": state.rotate, "retire": state.retire}[request.match_info["way"]]()
        return web.json_response({"signs": (await state.issuer()).key_id})

    async def calls(_request: web.Request) -> web.Response:
        return web.json_response(state.calls_json())

    async def forget(_request: web.Request) -> web.Response:
        state.clear_calls()
        return web.Response(status=204)

    app.router.add_get("/admin/conditions", conditions)
    app.router.add_patch("/admin/conditions", change)
    app.router.add_post("/admin/keys/{way:rotate|retire}", change_keys)
    app.router.add_get("/admin/calls", calls)
    app.router.add_delete("/admin/calls", forget)
