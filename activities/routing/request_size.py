"""How many tokens and bytes does a model read for a conversation?"""

from collections.abc import Mapping, Sequence

from domain import wire
from domain.content.items import Item
from domain.fleet.catalog import AUTO
from domain.routing.difficulty import signs_of
from domain.tokens.counts import CountedBy, TokenCount
from domain.tokens.estimates import BYTES_PER_TOKEN, MESSAGE_TOKENS, TokenEstimate, tokens_in, tokens_in_request
from domain.tokens.prompt_texts import PromptTexts
from domain.tokens.sizes import CountWire
from domain.turns.response import Response


def size_of(response: Response, items: Sequence[Item]) -> wire.SizeWire:
    """Return the size of what a turn reads. Its counts are those of its admission."""
    options = response.options
    prompt = PromptTexts.of(instructions=options.instructions, items=items, tools=options.tool_config)
    tokens = tokens_in_request(prompt.texts)
    size: wire.SizeWire = {
        "expected": tokens.expected,
        "likely": tokens.likely,
        "ceiling": tokens.ceiling,
        "bytes": prompt.size,
    }
    if response.model == AUTO:
        size = {**size, "signs": signs_of(items)}
    counts = response.history.counts
    return {**size, "counts": counts_to_wire(counts)} if counts else size


NOTHING: wire.SizeWire = {"expected": 0, "likely": 0, "ceiling": 0, "bytes": 0}


def added_size(texts: Sequence[str]) -> wire.SizeWire:
    """Return what more messages with these texts add to the size of a conversation."""
    sizes = [tokens_in(text) for text in texts if text]
    framing = MESSAGE_TOKENS * len(sizes)
    return {
        "expected": sum(each.expected for each in sizes) + framing,
        "likely": sum(each.likely for each in sizes) + framing,
        "ceiling": sum(each.ceiling for each in sizes) + framing,
        "bytes": sum(len(text.encode(errors="replace")) for text in texts),
    }


def with_added(size: wire.SizeWire, added: wire.SizeWire) -> wire.SizeWire:
    """Return the size after a part whose tokens are estimated is added to the conversation."""
    more = TokenEstimate(expected=added["expected"], likely=added["likely"], ceiling=added["ceiling"])
    grown: wire.SizeWire = {
        "expected": size["expected"] + more.expected,
        "likely": size["likely"] + more.likely,
        "ceiling": size["ceiling"] + more.ceiling,
        "bytes": size["bytes"] + added["bytes"],
    }
    if "signs" in size:
        grown = {**grown, "signs": size["signs"]}
    counts = {model: count + more for model, count in counts_from_wire(size).items()}
    return {**grown, "counts": counts_to_wire(counts)} if counts else grown


def with_added_tokens(size: wire.SizeWire, added: int) -> wire.SizeWire:
    """Return the size after `added` tokens are added to the conversation."""
    return with_added(size, {"expected": added, "likely": added, "ceiling": added, "bytes": added * BYTES_PER_TOKEN})


def counts_to_wire(counts: Mapping[str, TokenCount]) -> dict[str, CountWire]:
    return {
        model: {
            "expected": count.tokens.expected,
            "likely": count.tokens.likely,
            "ceiling": count.tokens.ceiling,
            "counted_by": count.counted_by.value,
        }
        for model, count in counts.items()
    }


def counts_from_wire(size: wire.SizeWire) -> Mapping[str, TokenCount]:
    return {
        model: TokenCount(
            tokens=TokenEstimate(expected=count["expected"], likely=count["likely"], ceiling=count["ceiling"]),
            counted_by=CountedBy(count["counted_by"]),
        )
        for model, count in size.get("counts", {}).items()
    }
