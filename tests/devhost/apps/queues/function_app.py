"""An app of one queue trigger: what does the host give it, and how often?"""

import json
import os
import signal
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import azure.functions as func

app: Any = df.DFApp()


def note(message: func.QueueMessage) -> dict[str, Any]:
    content = message.get_body().decode()
    line = {
        "id": message.id,
        "tries": message.dequeue_count,
        "content": content,
        "inserted": message.insertion_time.isoformat() if message.insertion_time else None,
        "receipt": bool(message.pop_receipt),
    }
    with (Path(os.environ["NOTES"]) / "messages").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    return json.loads(content)


@app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="ORDERS")
async def each_message(message: func.QueueMessage) -> None:
    asked = note(message)
    if asked.get("fails"):
        raise ValueError("as asked")
    if asked.get("dies") and message.dequeue_count == 1:
        os.kill(os.getpid(), signal.SIGKILL)
