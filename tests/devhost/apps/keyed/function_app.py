"""An app whose functions ask for keys: who may call what?"""

from typing import Any

import azure.durable_functions as df
import azure.functions as func

app: Any = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="open")
def everybody(req: func.HttpRequest) -> str:
    return "open"


@app.route(route="one", auth_level=func.AuthLevel.FUNCTION)
def one(req: func.HttpRequest) -> str:
    return "one"


@app.route(route="other", auth_level=func.AuthLevel.FUNCTION)
def other(req: func.HttpRequest) -> str:
    return "other"


@app.route(route="locked", auth_level=func.AuthLevel.ADMIN)
def locked(req: func.HttpRequest) -> str:
    return "locked"


@app.route(route="starts")
@app.durable_client_input(client_name="client")
async def starts(req: func.HttpRequest, client: Any) -> func.HttpResponse:
    return client.create_check_status_response(req, await client.start_new("naps"))


@app.orchestration_trigger(context_name="context")
def naps(context: Any) -> str:
    return "napped"
