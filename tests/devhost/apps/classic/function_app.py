"""An app of the classic kind: what does the host hand to its functions and make of what they return?"""

import json
from typing import Any

import azure.functions as func

app: Any = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="echo/{first}/{second:int?}", methods=["GET", "POST", "HEAD"])
def echo(req: func.HttpRequest) -> func.HttpResponse:
    headers: Any = req.headers
    seen: dict[str, Any] = {
        "method": req.method,
        "url": req.url,
        "query": dict(req.params),
        "route": dict(req.route_params),
        "header": headers.get("X-Own"),
        "body": req.get_body().decode(),
    }
    return func.HttpResponse(json.dumps(seen), mimetype="application/json", status_code=201, headers={"X-Back": "yes"})


@app.route(route="cookies")
def cookies(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse("crumbs")
    response.headers.add("Set-Cookie", "a=1; Path=/; HttpOnly; SameSite=Lax; Max-Age=60")
    response.headers.add("Set-Cookie", "b=2; Secure; Expires=Sun, 22 Nov 2026 10:00:00 GMT")
    return response


@app.route(route="text")
def text(req: func.HttpRequest) -> str:
    return "just text"


@app.route(route="boom")
def boom(req: func.HttpRequest) -> func.HttpResponse:
    raise ValueError("a secret of the app")


@app.route(route="nothing")
def nothing(req: func.HttpRequest) -> func.HttpResponse:
    return None  # pyright: ignore[reportReturnType] - the mistake under test


@app.route(route="bytes")
def some_bytes(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(bytes(range(256)), mimetype="application/octet-stream")


@app.route(route="{*path}")
def zz_rest(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(f"rest {req.route_params.get('path', '(none)')}", status_code=404)
