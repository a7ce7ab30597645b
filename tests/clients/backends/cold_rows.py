"""Which failures do the systems show, and what does each one mean?"""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.fleet.failure_classes import FailureClass

PAGE = {"server": "Google Frontend", "content-type": "text/html; charset=UTF-8"}
JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A failure of a system and its class; `status` is None where nothing listens.

    `place` is the position of the matching row among the system's signatures, -1 where none matches.
    """

    system: str
    place: int
    failure_class: FailureClass
    status: int | None = None
    body: str = ""
    headers: Mapping[str, str] | None = None


ROWS = (
    Row(system="cloud-run", place=0, failure_class=FailureClass.COLD, status=429, body="Rate exceeded.", headers=PAGE),
    Row(
        system="cloud-run",
        place=1,
        failure_class=FailureClass.COLD,
        status=500,
        body="<h1>Server Error</h1>",
        headers=PAGE,
    ),
    Row(
        system="cloud-run",
        place=1,
        failure_class=FailureClass.COLD,
        status=503,
        body="Service Unavailable",
        headers=PAGE,
    ),
    Row(
        system="cloud-run",
        place=2,
        failure_class=FailureClass.INDETERMINATE,
        status=504,
        body="upstream request timeout",
    ),
    Row(system="cloud-run", place=3, failure_class=FailureClass.BROKEN, status=401, headers=PAGE),
    Row(system="cloud-run", place=4, failure_class=FailureClass.BROKEN, status=403, headers=PAGE),
    Row(
        system="vertex",
        place=0,
        failure_class=FailureClass.COLD,
        status=429,
        body="Model is not yet ready for inference.",
    ),
    Row(system="hf-endpoints", place=0, failure_class=FailureClass.COLD, status=503, body="503 Service Unavailable"),
    Row(system="hf-endpoints", place=0, failure_class=FailureClass.COLD, status=502),
    Row(
        system="llama.cpp",
        place=0,
        failure_class=FailureClass.COLD,
        status=503,
        body='{"error":{"message":"Loading model"}}',
    ),
    Row(system="vllm", place=0, failure_class=FailureClass.COLD),
    Row(system="sglang", place=0, failure_class=FailureClass.COLD),
    Row(system="tgi", place=0, failure_class=FailureClass.COLD),
    Row(system="nim", place=0, failure_class=FailureClass.COLD),
    Row(system="triton", place=1, failure_class=FailureClass.COLD),
    Row(
        system="triton",
        place=0,
        failure_class=FailureClass.COLD,
        status=404,
        body='{"error":"Request for unknown model: \'llm\' has no available versions"}',
    ),
    Row(
        system="triton-generate",
        place=0,
        failure_class=FailureClass.COLD,
        status=404,
        body='{"error":"Request for unknown model: \'m\' has no available versions"}',
    ),
    Row(system="triton-generate", place=1, failure_class=FailureClass.COLD),
    Row(
        system="kserve-infer",
        place=0,
        failure_class=FailureClass.COLD,
        status=400,
        body='{"error":"Model m is not ready yet."}',
    ),
    Row(system="kserve-infer", place=1, failure_class=FailureClass.COLD),
    Row(
        system="kserve",
        place=0,
        failure_class=FailureClass.COLD,
        status=400,
        body='{"error":"Model llm is not ready yet."}',
        headers=JSON,
    ),
    Row(
        system="ollama",
        place=0,
        failure_class=FailureClass.THROTTLED,
        status=503,
        body='{"error":{"message":"server busy, please try again.  maximum pending requests exceeded"}}',
    ),
    Row(system="ollama", place=1, failure_class=FailureClass.INDETERMINATE, status=499),
    Row(system="vertex", place=1, failure_class=FailureClass.BROKEN, status=403, headers=JSON),
    Row(system="vertex-managed", place=0, failure_class=FailureClass.BROKEN, status=403, headers=JSON),
    Row(
        system="container-apps",
        place=0,
        failure_class=FailureClass.COLD,
        status=503,
        body="upstream connect error or disconnect/reset before headers. reset reason: connection failure",
    ),
    Row(system="container-apps", place=1, failure_class=FailureClass.COLD, status=500),
    Row(system="container-apps", place=2, failure_class=FailureClass.INDETERMINATE, status=504),
    Row(
        system="bedrock",
        place=0,
        failure_class=FailureClass.COLD,
        status=429,
        headers={"x-amzn-errortype": "ModelNotReadyException"},
    ),
    Row(
        system="bedrock",
        place=1,
        failure_class=FailureClass.BROKEN,
        status=403,
        headers={"x-amzn-errortype": "AccessDeniedException"},
    ),
    Row(
        system="bedrock-converse",
        place=0,
        failure_class=FailureClass.COLD,
        status=429,
        headers={"x-amzn-errortype": "ModelNotReadyException"},
    ),
    Row(
        system="bedrock-converse",
        place=1,
        failure_class=FailureClass.BROKEN,
        status=403,
        headers={"x-amzn-errortype": "AccessDeniedException"},
    ),
    Row(
        system="sagemaker",
        place=0,
        failure_class=FailureClass.COLD,
        status=400,
        body='{"error":{"message":"Inference Component has no capacity to process this request. x","code":"y"}}',
    ),
    Row(
        system="sagemaker",
        place=1,
        failure_class=FailureClass.BROKEN,
        status=403,
        headers={"x-amzn-errortype": "AccessDeniedException"},
    ),
    Row(
        system="lambda",
        place=0,
        failure_class=FailureClass.COLD,
        status=409,
        headers={"x-amzn-errortype": "SnapStartNotReadyException"},
    ),
    Row(
        system="lambda",
        place=1,
        failure_class=FailureClass.COLD,
        status=502,
        headers={"x-amzn-errortype": "ResourceNotReadyException"},
    ),
    Row(system="lambda", place=2, failure_class=FailureClass.BROKEN, status=403),
    Row(
        system="sagemaker-invocations",
        place=0,
        failure_class=FailureClass.COLD,
        status=400,
        body='{"Message":"Inference Component has no capacity to process this request. x"}',
    ),
    Row(
        system="sagemaker-invocations",
        place=1,
        failure_class=FailureClass.COLD,
        status=429,
        headers={"x-amzn-errortype": "ModelNotReadyException"},
    ),
    Row(
        system="sagemaker-invocations",
        place=2,
        failure_class=FailureClass.BROKEN,
        status=403,
        headers={"x-amzn-errortype": "AccessDeniedException"},
    ),
    Row(
        system="sagemaker-serverless",
        place=0,
        failure_class=FailureClass.COLD,
        status=429,
        headers={"x-amzn-errortype": "ModelNotReadyException"},
    ),
    Row(
        system="sagemaker-serverless",
        place=1,
        failure_class=FailureClass.BROKEN,
        status=403,
        headers={"x-amzn-errortype": "AccessDeniedException"},
    ),
    Row(
        system="lambda-invoke",
        place=0,
        failure_class=FailureClass.COLD,
        status=409,
        headers={"x-amzn-errortype": "SnapStartNotReadyException"},
    ),
    Row(
        system="lambda-invoke",
        place=1,
        failure_class=FailureClass.COLD,
        status=502,
        headers={"x-amzn-errortype": "ResourceNotReadyException"},
    ),
    Row(
        system="lambda-invoke",
        place=2,
        failure_class=FailureClass.COLD,
        status=503,
        body='{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}',
    ),
    Row(system="lambda-invoke", place=3, failure_class=FailureClass.BROKEN, status=403),
)

LOOKALIKES = (
    Row(
        system="cloud-run",
        place=-1,
        failure_class=FailureClass.THROTTLED,
        status=429,
        body='{"error":{}}',
        headers=JSON,
    ),
    Row(system="cloud-run", place=-1, failure_class=FailureClass.BROKEN, status=500, body='{"error":{}}', headers=JSON),
    Row(system="cloud-run", place=-1, failure_class=FailureClass.BROKEN),
    Row(
        system="vertex", place=-1, failure_class=FailureClass.THROTTLED, status=429, body="Quota exceeded", headers=JSON
    ),
    Row(
        system="llama.cpp",
        place=-1,
        failure_class=FailureClass.BROKEN,
        status=503,
        body='{"error":{"message":"no slot"}}',
    ),
    Row(system="vllm", place=-1, failure_class=FailureClass.BROKEN, status=503, body="engine dead"),
    Row(
        system="azure-openai",
        place=-1,
        failure_class=FailureClass.THROTTLED,
        status=429,
        headers={"retry-after-ms": "9"},
    ),
    Row(
        system="azure-openai",
        place=-1,
        failure_class=FailureClass.CLIENT,
        status=400,
        body='{"error":{"code":"content"}}',
    ),
)
