"""Does each check that asks a model name its fault alone, with the field to change?"""

from collections.abc import Callable
from copy import replace

import pytest

from domain.fleet.failure_classes import Failure, FailureKind
from ganglion.doctor.command import examine
from ganglion.doctor.subject import Subject
from tests.ganglion.doctor.faults import (
    Break,
    check_that_names_alone,
    found,
)
from tests.ganglion.doctor.harness import Case


def failing(backend: str, call: str, status: int, body: str = "") -> Callable[[Case], None]:
    def inject(case: Case) -> None:
        case.outside.models[backend].failures[call] = Failure(kind=FailureKind.STATUS, status=status, body=body)

    return inject


def slow_model(case: Case) -> None:
    case.outside.models["bedrock"].pause_s = 0.04


FAULTS: dict[str, Break] = {
    "backends.probe": failing("bedrock", "probe", 404),
    "backends.answer": failing("bedrock", "answer", 400, "Unsupported parameter: 'max_tokens'"),
    "backends.json": failing("cloud-run-l4", "json", 400),
    "backends.continuation": failing("cloud-run-l4", "partial", 400, "does not support assistant message prefill"),
    "backends.speed": slow_model,
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_named_by_its_check_alone(case: Case, name: str) -> None:
    assert await check_that_names_alone(case, FAULTS[name]) == name


@pytest.mark.parametrize(
    ("inject", "advice"),
    [
        (failing("bedrock", "answer", 400, "'max_tokens' is no field"), 'set output_limit = "max_completion_tokens"'),
        (failing("bedrock", "answer", 400, "'temperature' does not support 0"), "set sampling = []"),
        (failing("bedrock", "answer", 403), "the backend does not answer a chat: status 403"),
        (failing("cloud-run-l4", "partial", 400), 'set continues = "no"'),
        (failing("cloud-run-l4", "json", 400), "remove json_schema"),
        (failing("cloud-run-l4", "probe", 503), "does not prove that the backend is up: status 503"),
    ],
)
async def test_a_model_s_refusal_names_the_field_to_change(
    case: Case, inject: Callable[[Case], None], advice: str
) -> None:
    inject(case)
    ((text,),) = (await found(case)).values()
    assert advice in text


async def test_an_answer_that_does_not_follow_its_schema_is_named(case: Case) -> None:
    case.outside.models["cloud-run-l4"].json_text = "seven"
    ((text,),) = (await found(case)).values()
    assert "does not follow a JSON schema" in text


async def test_no_gpu_is_started_without_the_flag(case: Case) -> None:
    failing("cloud-run-l4", "probe", 503)(case)
    target = replace(case.subject().target, starts_gpus=False)
    results = await examine(Subject(target, case.outside))
    assert [result.faults for result in results if result.check.name == "backends.probe"] == [()]
