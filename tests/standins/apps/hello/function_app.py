"""Which process answers, and with which settings? A small app for the tests of the local cluster."""

import json
import os

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="settings", methods=["GET"])
def settings(req: func.HttpRequest) -> func.HttpResponse:
    given = {name: value for name, value in os.environ.items() if name.startswith(("GANGLION_", "IDENTITY_"))}
    return func.HttpResponse(json.dumps({"pid": os.getpid(), "settings": given}), mimetype="application/json")
