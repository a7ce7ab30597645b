"""Which model does Triton serve? One that counts, and that loads only when a file named `go` appears."""

import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

LAST = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
ASKED = re.compile(r"<\|im_start\|>user\nCOUNT (\d+)<\|im_end\|>\n<\|im_start\|>assistant\n$")


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        repository = Path(args["model_repository"])
        while not any((folder / "go").exists() for folder in repository.parents):
            time.sleep(0.02)

    def execute(self, requests: list[Any]) -> None:
        for request in requests:
            self.answer(request, request.get_response_sender())

    def answer(self, request: Any, sender: Any) -> None:
        found = ASKED.search(pb_utils.get_input_tensor_by_name(request, "text_input").as_numpy()[0].decode())
        if not found:
            sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError("the prompt is not ChatML")), flags=LAST)
            return
        for number in range(1, int(found[1]) + 1):
            text = np.array([f"{' ' if number > 1 else ''}{number}"], dtype=object)
            sender.send(pb_utils.InferenceResponse(output_tensors=[pb_utils.Tensor("text_output", text)]))
        sender.send(flags=LAST)
