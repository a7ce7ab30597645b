"""Is the KV memory of an engine read as vLLM tells it?"""

import pytest

from ganglion.doctor.areas.memory_checks import tokens_in
from ganglion.doctor.outside import Answer
from tests.ganglion.doctor.faults import Break, answer, check_that_names_alone, found
from tests.ganglion.doctor.harness import Case

ENGINE = 'vllm:cache_config_info{{block_size="16",cache_dtype="auto",engine="{}",num_gpu_blocks="{}"}} 1.0'
HELP = "# HELP vllm:cache_config_info Information of the LLMEngine CacheConfig\n# TYPE vllm:cache_config_info gauge\n"


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        (HELP, 0),
        (HELP + ENGINE.format(0, 661), 10_576),
        (HELP + ENGINE.format(0, 661) + "\n" + ENGINE.format(1, 600), 9600),
        (ENGINE.format(0, "None"), 0),
        (ENGINE.format(0, "None") + "\n" + ENGINE.format(1, 600), 9600),
        ("other_metric 1\n", 0),
    ],
)
def test_the_tokens_are_those_of_all_blocks(text: str, tokens: int) -> None:
    assert tokens_in(text) == tokens


@pytest.mark.parametrize(
    ("blocks", "says"),
    [
        (661, ["the engine has KV memory of 10,576 tokens, not"]),
        (7700, []),
        (9000, []),
        (15_000, ["240,000 tokens; the GPU and the model's shape give 122,833"]),
    ],
)
async def test_an_engine_whose_memory_is_not_what_the_file_says_is_named(
    case: Case, blocks: int, says: list[str]
) -> None:
    body = ENGINE.format(0, blocks).encode()
    case.outside.answers["https://gpu.example/metrics"] = Answer(status=200, body=body)
    texts = [text for each in (await found(case)).values() for text in each]
    assert len(texts) == len(says)
    assert [part for part, text in zip(says, texts, strict=True) if part not in text] == []


METRICS = b'vllm:cache_config_info{block_size="16",enable_prefix_caching="True",num_gpu_blocks="661"} 1.0\n'

FAULTS: dict[str, Break] = {
    "backends.memory": answer("https://gpu.example/metrics", Answer(status=200, body=METRICS)),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_named_by_its_check_alone(case: Case, name: str) -> None:
    assert await check_that_names_alone(case, FAULTS[name]) == name
