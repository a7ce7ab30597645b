"""Which lines of an orchestrator could fall into a known trap of the Durable SDK 1.x?

The traps: two early events of one name, a cancelled timer of more than six days, unread events at continue_as_new, a
timer's time with a UTC offset, a retried call that shares a compound.
"""

import ast
from collections.abc import Iterator

RETRIED = {"call_activity_with_retry", "call_sub_orchestrator_with_retry", "call_step"}
COMPOUNDS = {"task_all", "task_any"}
TIMER_TIME = "context.current_utc_datetime + timedelta("


def name_of(node: ast.AST) -> str:
    """The name of a called function, without what it belongs to."""
    match node:
        case ast.Call(func=ast.Attribute(attr=name)) | ast.Call(func=ast.Name(id=name)):
            return name
        case _:
            return ""


def complaints(source: str, payload_free: frozenset[str]) -> list[str]:
    """`payload_free` are the names of events that only wake: two of them say no more than one."""
    tree = ast.parse(source)
    return [complaint for node in ast.walk(tree) for complaint in complaints_of(node, payload_free)]


def complaints_of(node: ast.AST, payload_free: frozenset[str]) -> Iterator[str]:
    match node:
        case ast.Call() if name_of(node) == "create_timer" and not ast.unparse(node.args[0]).startswith(TIMER_TIME):
            yield f"line {node.lineno}: write a timer's time as `{TIMER_TIME}seconds=…)`: it has no UTC offset then"
        case ast.Call() if name_of(node) == "continue_as_new":
            yield f"line {node.lineno}: continue_as_new loses the events that were not read"
        case ast.Call() if name_of(node) == "wait_for_external_event":
            if ast.unparse(node.args[0]) not in payload_free:
                yield f"line {node.lineno}: of two early events of one name the first is lost: use one that only wakes"
        case ast.Call() if name_of(node) in COMPOUNDS:
            retried = [name_of(inner) for inner in ast.walk(node) if name_of(inner) in RETRIED]
            yield from (
                f"line {node.lineno}: {name} shares a compound, and its retries take ids late" for name in retried
            )
        case ast.Yield(value=ast.Call() as awaited) if name_of(awaited) == "wait_for_external_event":
            yield f"line {node.lineno}: the value of an early event may be that of another event"
        case _:
            pass
