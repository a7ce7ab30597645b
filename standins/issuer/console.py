"""How does a browser on this machine sign in to the console with one click?

The token goes into the fragment of the address: browsers send a fragment to no server, and the console removes it at
once. It only ever goes to a port of this machine.
"""

from urllib.parse import quote

from aiohttp import web

from standins.issuer.issuer_state import IssuerState
from standins.processes.http_server import HOST
from standins.processes.ports import HIGHEST_PORT

ROLES = ("Usage.Read", "Operations.Read")


async def console_sign_in(state: IssuerState, request: web.Request) -> web.Response:
    """`GET /console?port=7071`: redirects to the console on that port with a token of `user` (alice) in `tenant`."""
    port = request.query.get("port", "")
    if not (port.isdecimal() and 1 <= int(port) <= HIGHEST_PORT):
        return web.json_response({"error": f"port: expected a number from 1 to {HIGHEST_PORT}"}, status=400)
    token = (await state.issuer()).user_token(
        now=state.now(),
        user=request.query.get("user", "alice"),
        tenant=request.query.get("tenant", "contoso"),
        claims={"roles": list(ROLES)},
    )
    return web.Response(status=303, headers={"location": f"http://{HOST}:{port}/console#token={quote(token)}"})
