"""Which systems have a stand-in here: on which wire, for whom, and what does each one say while it sleeps?

Each answer is the one that docs/backends.md describes, with its source.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from standins.systems.chat import ChatDoor, DoorWire, Refusal
from standins.systems.converse import ConverseDoor
from standins.systems.gemini import VertexDoor
from standins.systems.identities import (
    Aws,
    Bearer,
    Entra,
    Everybody,
    GoogleAccess,
    GoogleId,
    Identity,
    SecretHeaders,
)
from standins.systems.invocations import LambdaDoor, SageMakerDoor
from standins.systems.prompts import InferDoor, ScoreDoor, TritonDoor
from standins.systems.responses import ResponsesDoor

GOOGLE_PAGE = {"server": "Google Frontend", "content-type": "text/html; charset=UTF-8"}
NO_CAPACITY = "Inference Component has no capacity to process this request. Try to increase the capacity."


def aws_error(status: int, name: str) -> Refusal:
    headers = {"content-type": "application/json", "x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/"}
    return Refusal(status=status, headers=headers, body=json.dumps({"message": "not yet"}).encode())


def text(status: int, words: str, **headers: str) -> Refusal:
    return Refusal(status=status, headers={"content-type": "text/plain", **headers}, body=words.encode())


def body(status: int, found: object) -> Refusal:
    return Refusal(status=status, body=json.dumps(found).encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One system. `asleep` is its answer while its instance sleeps or starts; None: the request is held.

    `base` are the first parts of the address of a backend. `lists_models`: `GET /models` is answered while it is up.
    """

    wire: DoorWire = field(default_factory=ChatDoor)
    identity: Identity = field(default_factory=Everybody)
    asleep: Refusal | None = None
    base: str = "v1"
    lists_models: bool = True
    never_sleeps: bool = False


def bedrock(wire: DoorWire, base: str) -> Door:
    asleep = aws_error(429, "ModelNotReadyException")
    return Door(wire=wire, identity=Aws("bedrock", keys=True), asleep=asleep, base=base, lists_models=False)


def sagemaker(asleep: Refusal) -> Door:
    return Door(wire=SageMakerDoor(), identity=Aws("sagemaker"), asleep=asleep, base="", lists_models=False)


COGNITIVE = Entra("https://cognitiveservices.azure.com")
MACHINE_LEARNING = Entra("https://ml.azure.com")
LOADING = body(503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}})

DOORS: Mapping[str, Door] = {
    "openai": Door(identity=Bearer(), never_sleeps=True),
    "openai-responses": Door(wire=ResponsesDoor(), identity=Bearer(), never_sleeps=True),
    "azure-openai": Door(identity=COGNITIVE, never_sleeps=True),
    "azure-openai-responses": Door(wire=ResponsesDoor(), identity=COGNITIVE, never_sleeps=True),
    "azure-ml": Door(identity=MACHINE_LEARNING, never_sleeps=True, lists_models=False),
    "azure-ml-score": Door(wire=ScoreDoor(), identity=MACHINE_LEARNING, base="", never_sleeps=True, lists_models=False),
    "azure-ml-serverless": Door(identity=Bearer(), never_sleeps=True, lists_models=False),
    "vertex-managed": Door(wire=VertexDoor(), identity=GoogleAccess(), never_sleeps=True, lists_models=False),
    "vertex": Door(
        identity=GoogleAccess(),
        asleep=text(429, "Model is not yet ready for inference. Please wait and try again."),
        lists_models=False,
    ),
    "cloud-run": Door(identity=GoogleId(), asleep=Refusal(status=429, headers=GOOGLE_PAGE, body=b"Rate exceeded.")),
    "container-apps": Door(
        asleep=text(503, "upstream connect error or disconnect/reset before headers. reset reason: connection failure")
    ),
    "hf-endpoints": Door(identity=Bearer(), asleep=text(503, "503 Service Unavailable")),
    "hf-providers": Door(identity=Bearer(), never_sleeps=True),
    "modal": Door(identity=SecretHeaders(("modal-key", "modal-secret"))),
    "runpod": Door(identity=Bearer()),
    "beam": Door(identity=Bearer()),
    "llama.cpp": Door(asleep=LOADING),
    "ollama": Door(),
    "nim": Door(asleep=text(503, "Service is not ready"), lists_models=False),
    "tgi": Door(asleep=text(503, "unhealthy"), lists_models=False),
    "vllm": Door(never_sleeps=True),
    "sglang": Door(never_sleeps=True),
    "triton": Door(asleep=body(404, {"error": "Request for unknown model: 'm' has no available versions"})),
    "kserve": Door(asleep=body(400, {"error": "Model m is not ready yet."})),
    "triton-generate": Door(
        wire=TritonDoor(),
        asleep=body(404, {"error": "Request for unknown model: 'm' has no available versions"}),
        base="v2/models/m",
        lists_models=False,
    ),
    "kserve-infer": Door(
        wire=InferDoor(),
        asleep=body(400, {"error": "Model m is not ready yet."}),
        base="v2/models/m",
        lists_models=False,
    ),
    "bedrock": bedrock(ChatDoor(), "openai/v1"),
    "bedrock-converse": bedrock(ConverseDoor(), ""),
    "sagemaker": Door(
        identity=Aws("sagemaker", keys=True),
        asleep=body(400, {"error": {"message": NO_CAPACITY, "type": "invalid_request_error"}}),
        base="endpoints/e/openai/v1",
        lists_models=False,
    ),
    "sagemaker-invocations": sagemaker(body(400, {"Message": NO_CAPACITY})),
    "sagemaker-serverless": sagemaker(aws_error(429, "ModelNotReadyException")),
    "lambda": Door(identity=Aws("lambda"), asleep=aws_error(409, "SnapStartNotReadyException"), lists_models=False),
    "lambda-invoke": Door(
        wire=LambdaDoor(),
        identity=Aws("lambda"),
        asleep=aws_error(502, "ResourceNotReadyException"),
        base="",
        lists_models=False,
    ),
}
