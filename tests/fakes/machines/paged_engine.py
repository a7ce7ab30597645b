"""How does an engine serve requests at once whose KV memory is paged? In an event loop whose timers cost no time.

It behaves like the scheduler of vLLM (`vllm/v1/core/sched/scheduler.py`): requests are admitted in their order, each as
soon as there are free blocks for its prompt; answers take further blocks as they grow; where none is free, the request
that was admitted last gives up all of its blocks, and is first in line to be computed again.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from domain.fleet.catalog import Speed

BLOCK_TOKENS = 16
STEP_S = 0.25
"""The engine's state changes in steps of so many seconds."""

HALF_LOAD = 16
"""Beside so many others, a request is written half as fast as alone."""


def future() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True, kw_only=True, eq=False)
class Sequence:
    """A request of the engine. `to_read` is what is not computed yet of the prompt, and of the answer so far."""

    prompt: int
    wanted: int
    to_read: float
    written: float = 0.0
    blocks: int = 0
    first: asyncio.Future[None] = field(default_factory=future)
    done: asyncio.Future[None] = field(default_factory=future)

    @property
    def needed(self) -> int:
        """The blocks of what was read and written, and of the next token."""
        return -(-int(self.prompt + self.written + 1) // BLOCK_TOKENS)


@dataclass(slots=True, kw_only=True, eq=False)
class PagedEngine:
    """`preempted` counts how often a request has lost its blocks, `most` is the highest number of blocks in use."""

    tokens: int
    speed: Speed
    running: list[Sequence] = field(default_factory=list[Sequence])
    waiting: deque[Sequence] = field(default_factory=deque[Sequence])
    preempted: int = 0
    most: int = 0
    task: asyncio.Task[None] | None = None

    @property
    def free(self) -> int:
        return self.tokens // BLOCK_TOKENS - sum(each.blocks for each in self.running)

    def add(self, prompt: int, wanted: int) -> Sequence:
        sequence = Sequence(prompt=prompt, wanted=wanted, to_read=prompt)
        self.waiting.append(sequence)
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self.run())
        return sequence

    def drop(self, sequence: Sequence) -> None:
        """Free what a request has, whether it has ended or was given up."""
        if sequence in self.running:
            self.running.remove(sequence)
        if sequence in self.waiting:
            self.waiting.remove(sequence)

    async def run(self) -> None:
        while self.running or self.waiting:
            self.admit()
            await asyncio.sleep(STEP_S)
            self.step()

    def admit(self) -> None:
        while self.waiting and (self.waiting[0].needed <= self.free or not self.running):
            sequence = self.waiting.popleft()
            sequence.blocks = sequence.needed
            self.running.append(sequence)

    def step(self) -> None:
        """Read at the full speed one after the other, and write all answers beside each other."""
        rate = self.speed.decode_tokens_s * HALF_LOAD / (HALF_LOAD + max(0, len(self.running) - 1))
        budget = self.speed.prefill_tokens_s * STEP_S
        for each in list(self.running):
            if each.to_read:
                read = min(budget, each.to_read)
                each.to_read, budget = each.to_read - read, budget - read
            elif each in self.running:
                self.write(each, rate * STEP_S)
        self.most = max(self.most, sum(each.blocks for each in self.running))

    def write(self, sequence: Sequence, tokens: float) -> None:
        sequence.written += tokens
        if not sequence.first.done():
            sequence.first.set_result(None)
        if sequence.written >= sequence.wanted:
            self.running.remove(sequence)
            if not sequence.done.done():
                sequence.done.set_result(None)
            return
        while sequence in self.running and sequence.needed - sequence.blocks > self.free and len(self.running) > 1:
            self.preempt(self.running[-1])
        sequence.blocks = sequence.needed if sequence in self.running else 0

    def preempt(self, sequence: Sequence) -> None:
        """Take all blocks of a request: what it has read and written is computed again."""
        self.running.remove(sequence)
        sequence.blocks, sequence.to_read = 0, sequence.prompt + sequence.written
        self.waiting.appendleft(sequence)
        self.preempted += 1
