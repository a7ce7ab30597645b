"""Does the fleet file say how much KV memory each engine has that tells it?

vLLM tells the size and the number of its blocks at `/metrics`, in the labels of `vllm:cache_config_info`.
"""

import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Final

from clients.backends.port import BackendError
from domain.fleet.catalog import Backend
from domain.tokens.estimates import kv_tokens
from ganglion.doctor.areas.backend_checks import LIST
from ganglion.doctor.areas.model_checks import EDIT, allowed, is_answering
from ganglion.doctor.findings import Fault, warning
from ganglion.doctor.outside import UnreachableError
from ganglion.doctor.subject import Subject

METRICS: Final = "/metrics"
ENOUGH: Final = 0.8
"""A derived number below this share of the engine's is wrong: the derivation leaves nothing out but activations."""
BLOCKS: Final = re.compile(r"^vllm:cache_config_info\{([^}\n]*)\}", re.MULTILINE)
LABEL: Final = re.compile(r'(\w+)="(\d+)"')


async def memory(subject: Subject) -> AsyncIterator[Fault]:
    for backend in allowed(subject):
        if backend.probe.path != LIST or not await is_answering(subject, backend):
            continue
        told, given = tokens_in(await metrics(subject, backend)), backend.limits.kv_tokens
        where = f"backends.{backend.name}.limits.kv_tokens: the engine has KV memory of {told:,} tokens"
        if told and given is None:
            yield warning(f"{where}, and the file names none; set it", EDIT)
        elif told and given and given > told:
            yield warning(f"{where}, not {given:,}; correct it", EDIT)
        elif told and given and is_derived_too_small(subject, backend, told):
            yield warning(f"{where}; the GPU and the model's shape give {given:,}, so turns wait in vain; set it", EDIT)


def is_derived_too_small(subject: Subject, backend: Backend, told: int) -> bool:
    """Return whether memory that the file does not name is much less than an engine tells, as with an 8-bit cache."""
    derived = kv_tokens(subject.fleet.models[backend.model], backend.limits)
    return derived == backend.limits.kv_tokens and derived is not None and derived < told * ENOUGH


async def metrics(subject: Subject, backend: Backend) -> str:
    """Return what an engine tells of itself; nothing where it does not."""
    scheme, _, rest = backend.url.partition("://")
    url = f"{scheme}://{rest.partition('/')[0]}{METRICS}"
    try:
        credentials = await subject.outside.credentials(subject.settings, backend, url)
        answer = await subject.outside.get(url, {**backend.headers, **credentials})
    except (UnreachableError, BackendError):
        return ""
    return answer.body.decode(errors="replace") if answer.status == HTTPStatus.OK else ""


def tokens_in(text: str) -> int:
    """Return the tokens of all blocks, the fewest where several engines tell them; 0 where none does."""
    engines = [dict(LABEL.findall(labels)) for labels in BLOCKS.findall(text)]
    sizes = [int(each.get("block_size", 0)) * int(each.get("num_gpu_blocks", 0)) for each in engines]
    return min(filter(None, sizes), default=0)
