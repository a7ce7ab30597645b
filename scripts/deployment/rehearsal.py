"""What would clouds in which nothing exists yet answer? A rehearsal prints each step with these stand-in values."""

import json
from collections.abc import Sequence
from typing import Final

GUID: Final = "00000000-0000-0000-0000-000000000000"
ENVIRONMENT: Final = {
    "AZURE_ENV_NAME": "ganglion",
    "AZURE_LOCATION": "eastus",
    "GOOGLE_PROJECT": "PROJECT",
    "GANGLION_URL": "https://APP",
    "GOOGLE_WEIGHTS": "gs://BUCKET/FOLDER",
}
OUTPUTS: Final = {"url": "URL", "provider": "PROVIDER", "service_account": "SERVICE_ACCOUNT"}


def answer_of(command: Sequence[str]) -> str:
    """Return the answer to a command line in a cloud where nothing exists yet; most commands answer nothing."""
    match command:
        case ("az", "account", "show", *_):
            return GUID
        case ("az", "functionapp", "list-flexconsumption-locations", *_):
            return json.dumps([{"name": "eastus"}])
        case ("az", "ad", "app", "create", "--display-name", str(name), *_):
            return json.dumps({"displayName": name, "id": GUID, "appId": GUID})
        case ("az", "identity", *_):
            return json.dumps({"principalId": GUID})
        case ("terraform", _, "output", "-json"):
            return json.dumps({name: {"value": value} for name, value in OUTPUTS.items()})
        case _:
            return ""
