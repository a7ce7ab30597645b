"""An app of timer triggers: when does the host run them, and with what?"""

import json
import os
import time
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from azure.functions.warmup import WarmUpContext

app: Any = df.DFApp()


def note(name: str, timer: func.TimerRequest) -> None:
    line = json.dumps({"past_due": timer.past_due, "setting": os.environ.get("FROM_FILE"), "pid": os.getpid()})
    with (Path(os.environ["NOTES"]) / name).open("a", encoding="utf-8") as file:
        file.write(line + "\n")


@app.timer_trigger(arg_name="timer", schedule="%EVERY_SECOND%")
async def each_second(timer: func.TimerRequest) -> None:
    note("each_second", timer)


@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
def at_start(timer: func.TimerRequest) -> None:
    note("at_start", timer)


@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
def yearly(timer: func.TimerRequest) -> None:
    note("yearly", timer)


@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
def slow(timer: func.TimerRequest) -> None:
    note("slow", timer)
    time.sleep(1)


@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
def broken(timer: func.TimerRequest) -> None:
    raise ValueError("out of order")


@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
@app.durable_client_input(client_name="client")
async def starter(timer: func.TimerRequest, client: Any) -> None:
    await client.start_new("nap", "started-by-timer")


@app.orchestration_trigger(context_name="context")
def nap(context: Any) -> str:
    return "napped"


@app.warm_up_trigger("warm")
def warm_up(warm: WarmUpContext) -> None:
    with (Path(os.environ["NOTES"]) / "warm").open("a", encoding="utf-8") as file:
        file.write('{"warm": true}\n')


@app.warm_up_trigger("warm")
def z_broken_warm_up(warm: WarmUpContext) -> None:
    raise ValueError("too cold")


@app.timer_trigger(arg_name="timer", schedule="%NOWHERE%")
def homeless(timer: func.TimerRequest) -> None:
    raise NotImplementedError


@app.route(route="%API:VERSION%/kept%25", auth_level=func.AuthLevel.ANONYMOUS)
def settled(req: func.HttpRequest) -> str:
    return "here"


@app.service_bus_queue_trigger(arg_name="message", queue_name="q", connection="C")
def from_bus(message: func.ServiceBusMessage) -> None:
    raise NotImplementedError
