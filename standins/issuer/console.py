"""How does a person sign in to the console: with one click, or with an authorization code and PKCE as at Entra?

With one click, the token goes into the fragment of the address: browsers send a fragment to no server, and the console
removes it at once. For a code, a page lists people instead of asking for a password. Tokens and codes go to this
machine only. A code is redeemed once, by the page that asked for it: RFC 6749, section 4.1, and RFC 7636.
"""

import base64
import hashlib
import hmac
import html
import re
import secrets
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from standins.issuer.entra_tokens import TENANTS
from standins.issuer.issuer_state import IssuedCode, IssuerState
from standins.processes.child_process import kill_pid, read_json
from standins.processes.http_server import HOST
from standins.processes.ports import HIGHEST_PORT

PEOPLE = ("alice", "bob")
ROLES = ("Usage.Read", "Operations.Read", "Operations.WarmUp")
"""The roles of everybody who signs in to the console."""

CODE_S = 600.0
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
NEEDED = ("client_id", "redirect_uri", "scope", "state", "code_challenge")
PAGE = """<!doctype html><html lang="en"><title>Sign in</title><link rel="icon" href="data:,">
<h1>Sign in</h1><p>A stand-in for Microsoft Entra: choose who you are.</p><ul>{people}</ul></html>"""


async def console_sign_in(state: IssuerState, request: web.Request) -> web.Response:
    """`GET /console?port=7071`: redirects to the console on that port with a token of `user` (alice) in `tenant`.

    `view` is what the console then shows, such as `turn/resp_1`.
    """
    port = request.query.get("port", "")
    if not (port.isdecimal() and 1 <= int(port) <= HIGHEST_PORT):
        return web.json_response({"error": f"port: expected a number from 1 to {HIGHEST_PORT}"}, status=400)
    token = (await state.issuer()).user_token(
        now=state.now(),
        user=request.query.get("user", "alice"),
        tenant=request.query.get("tenant", "contoso"),
        claims={"roles": list(ROLES)},
    )
    view = {"view": request.query["view"]} if "view" in request.query else {}
    arrival = urlencode({"token": token, "laptop": f"http://{request.host}/console/worker/kill", **view})
    return web.Response(status=303, headers={"location": f"http://{HOST}:{port}/console#{arrival}"})


async def kill_worker(state: IssuerState, request: web.Request) -> web.Response:
    """`POST /console/worker/kill`: kills the worker of the local app as `kill -9` does; only pages of this machine may.

    The Functions host starts another worker.
    """
    origin = request.headers.get("origin", "")
    if not is_local(origin):
        return web.json_response({"error": "only a page of this machine may kill the worker"}, status=403)
    headers = {"access-control-allow-origin": origin}
    worker = int((read_json(state.data / "devhost.json") or {}).get("worker_pid") or 0)
    if not worker:
        return web.json_response({"error": "no worker is running"}, status=409, headers=headers)
    kill_pid(worker)
    return web.json_response({"killed": worker}, headers=headers)


async def authorize(state: IssuerState, request: web.Request) -> web.Response:
    """`GET /{tenant}/oauth2/v2.0/authorize`: lists people; with one of them as `login`, goes back with a code."""
    query = request.query
    if problem := problem_of(query):
        return web.Response(status=400, text=f"AADSTS900144: {problem}")
    login = query.get("login", "")
    if not login:
        return web.Response(text=page(query), content_type="text/html")
    tenant, _, user = login.partition("/")
    if tenant not in TENANTS or user not in PEOPLE:
        return web.Response(status=400, text="AADSTS50034: The user account does not exist.")
    code = secrets.token_urlsafe(24)
    state.codes[code] = IssuedCode(
        user=user,
        tenant=tenant,
        client_id=query["client_id"],
        redirect_uri=query["redirect_uri"],
        challenge=query["code_challenge"],
        until=state.now() + CODE_S,
    )
    back = urlencode({"code": code, "state": query["state"]})
    return web.Response(status=302, headers={"location": f"{query['redirect_uri']}#{back}"})


def problem_of(query: Mapping[str, str]) -> str:
    """Return what is wrong with a request for a code; "" where nothing is."""
    missing = [name for name in NEEDED if not query.get(name)]
    if missing:
        return f"The request must contain the parameter '{missing[0]}'."
    if (query.get("response_type"), query.get("code_challenge_method")) != ("code", "S256"):
        return "Expected response_type=code and code_challenge_method=S256."
    if query.get("response_mode") != "fragment" or not CHALLENGE.fullmatch(query["code_challenge"]):
        return "Expected response_mode=fragment and a challenge of 43 characters."
    return "" if is_local(query["redirect_uri"]) else "The redirect URI is not a page of this machine."


def is_local(address: str) -> bool:
    parts = urlsplit(address)
    return (parts.scheme, parts.hostname, parts.fragment) == ("http", HOST, "")


def page(query: Mapping[str, str]) -> str:
    logins = [f"{tenant}/{user}" for tenant in TENANTS for user in PEOPLE]
    addresses = {login: html.escape("?" + urlencode({**query, "login": login})) for login in logins}
    people = "".join(f'<li><a href="{address}">{login}</a></li>' for login, address in addresses.items())
    return PAGE.format(people=people)


async def redeem(state: IssuerState, form: Mapping[str, str], origin: str) -> tuple[dict[str, object], int]:
    """Return the answer to a code, and its status. A code is good for one try."""
    issued = state.codes.pop(form.get("code", ""), None)
    if issued is None or issued.until < state.now():
        return oauth_error("AADSTS54005: The code was redeemed before, has expired, or was never issued.")
    if not origin:
        return oauth_error("AADSTS9002327: A page's tokens may only be redeemed by a request with an origin.")
    if (form.get("client_id"), form.get("redirect_uri")) != (issued.client_id, issued.redirect_uri):
        return oauth_error("AADSTS50011: The client or the redirect URI is not the one of the code.")
    if not hmac.compare_digest(challenge_of(form.get("code_verifier", "")), issued.challenge):
        return oauth_error("AADSTS501481: The code_verifier does not match the code_challenge of the request.")
    lifetime = state.conditions.entra_lifetime
    token = (await state.issuer()).user_token(
        now=state.now(), user=issued.user, tenant=issued.tenant, lifetime_s=lifetime, claims={"roles": list(ROLES)}
    )
    return {"token_type": "Bearer", "expires_in": lifetime, "access_token": token, "scope": form.get("scope", "")}, 200


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636, section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def oauth_error(description: str) -> tuple[dict[str, object], int]:
    return {"error": "invalid_grant", "error_description": description}, 400
