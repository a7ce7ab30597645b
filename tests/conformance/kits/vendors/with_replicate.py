"""Does Replicate's own SDK take the stand-in for the real service? Prints what it saw, as JSON."""

import json
import os
import sys

import replicate
from replicate.exceptions import ReplicateError

MODEL = "owner/name"


def refused(token: str, text: str) -> int:
    try:
        client(token).models.predictions.create(MODEL, input={"prompt": text})
    except ReplicateError as error:
        return error.status
    return 0


def client(token: str) -> replicate.Client:
    return replicate.Client(api_token=token, base_url=os.environ["URL"])


own = client(os.environ["TOKEN"])
prediction = own.models.predictions.create(MODEL, input={"prompt": "COUNT 5", "system_prompt": "Be brief."})
began = prediction.status
prediction.wait()
long = own.models.predictions.create(MODEL, input={"prompt": "COUNT 500"})
long.cancel()
long.reload()
found = {
    "began": began,
    "status": prediction.status,
    "text": "".join(prediction.output),
    "metrics": sorted(prediction.metrics),
    "again": own.predictions.get(prediction.id).status,
    "run": "".join(own.run(MODEL, input={"prompt": "COUNT 3"}, wait=False)),
    "canceled": long.status,
    "wrong token": refused("another", "COUNT 5"),
}
json.dump(found, sys.stdout)
