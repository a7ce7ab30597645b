"""How does a module that is loaded get the code of a mutant? Each function keeps its identity, whoever imported it."""

from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any

WRAPPED = ("__func__", "__wrapped__", "fget", "func")
"""Where methods, cached functions and properties keep their function."""


def change_code(module: ModuleType, source: str) -> None:
    """Give each function of the module the code that it has in `source`."""
    fresh = dict(codes_in(compile(source, module.__file__ or "", "exec")))
    for function in functions_of(vars(module), module.__name__):
        if code := fresh.get(function.__code__.co_qualname):
            function.__code__ = code


def codes_in(code: CodeType) -> Iterator[tuple[str, CodeType]]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant.co_qualname, constant
            yield from codes_in(constant)


def functions_of(names: Mapping[str, Any], module: str) -> Iterator[FunctionType]:
    """Yield the functions that a module or a class of it defines."""
    for value in names.values():
        for found in (value, *(getattr(value, name, None) for name in WRAPPED)):
            if isinstance(found, FunctionType) and found.__module__ == module:
                yield found
        if isinstance(value, type) and value.__module__ == module:
            yield from functions_of(vars(value), module)
