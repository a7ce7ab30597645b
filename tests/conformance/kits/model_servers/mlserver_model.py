"""Which model does MLServer serve? One that counts, and that loads only when a file named `go` appears."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.types import InferenceRequest, InferenceResponse


def wait_for(file: Path) -> None:
    while not file.exists():
        time.sleep(0.02)


class CountingModel(MLModel):
    async def load(self) -> bool:
        await asyncio.to_thread(wait_for, Path("go"))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        return self.answer(" ".join(self.words(payload)))

    async def predict_stream(self, payloads: AsyncIterator[InferenceRequest]) -> AsyncIterator[InferenceResponse]:
        payload = [each async for each in payloads][-1]
        for place, word in enumerate(self.words(payload)):
            yield self.answer(f" {word}" if place else word)

    def words(self, payload: InferenceRequest) -> list[str]:
        prompt = StringCodec.decode_input(payload.inputs[0])[0]
        count = int(re.search(r"<\|im_start\|>user\nCOUNT (\d+)<\|im_end\|>\n<\|im_start\|>assistant\n$", prompt)[1])
        return [str(number) for number in range(1, count + 1)]

    def answer(self, text: str) -> InferenceResponse:
        return InferenceResponse(model_name=self.name, outputs=[StringCodec.encode_output("text_output", [text])])
