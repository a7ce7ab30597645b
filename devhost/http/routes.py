"""Does a path match the route template of a function?

Templates follow ASP.NET: {name}, {name?}, {name=default}, {*rest}, {name:constraint:constraint(argument)}.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote
from uuid import UUID

TOKEN = re.compile(r"\{(?P<parameter>(?:[^{}]|\{\{|\}\})+)\}|(?P<literal>(?:[^{}]|\{\{|\}\})+)")
PARAMETER = re.compile(
    r"(?P<star>\*{0,2})(?P<name>[^:=?(]+)(?P<constraints>(?::[^:(=?]+(?:\((?:[^()]|\([^()]*\))*\))?)*)"
    r"(?:=(?P<default>.*?))?(?P<optional>\?)?"
)
CONSTRAINT = re.compile(r":([^:(]+)(?:\(((?:[^()]|\([^()]*\))*)\))?")


class InvalidRouteError(Exception):
    """The route template is invalid."""


type Check = Callable[[str], bool]


def converts_with(convert: Callable[[str], object]) -> Check:
    def check(text: str) -> bool:
        try:
            convert(text)
        except ValueError:
            return False
        return True

    return check


def boolean(text: str) -> bool:
    return text.lower() in {"true", "false"}


def within(low: str | None, high: str | None) -> Check:
    """Accepts whole numbers between both limits; None means no limit."""

    def check(text: str) -> bool:
        number = re.fullmatch(r"[+-]?\d+", text)
        return (
            number is not None and (low is None or int(text) >= int(low)) and (high is None or int(text) <= int(high))
        )

    return check


def length(low: str, high: str) -> Check:
    return lambda text: int(low) <= len(text) <= int(high)


CONSTRAINTS: Mapping[str, Check] = {
    "int": within(str(-(2**31)), str(2**31 - 1)),
    "long": within(str(-(2**63)), str(2**63 - 1)),
    "bool": boolean,
    "alpha": lambda text: re.fullmatch(r"[A-Za-z]*", text) is not None,
    "guid": converts_with(UUID),
    "float": converts_with(float),
    "double": converts_with(float),
    "decimal": converts_with(float),
    "required": bool,
}


def matches_regex(pattern: str) -> Check:
    compiled = re.compile(pattern.replace("{{", "{").replace("}}", "}"), re.IGNORECASE)
    return lambda text: compiled.search(text) is not None


def split_range(argument: str) -> tuple[str, str]:
    low, _, high = argument.partition(",")
    return low.strip(), high.strip() or low.strip()


CONSTRAINTS_WITH_ARGUMENT: Mapping[str, Callable[[str], Check]] = {
    "min": lambda argument: within(argument, None),
    "max": lambda argument: within(None, argument),
    "range": lambda argument: within(*split_range(argument)),
    "length": lambda argument: length(*split_range(argument)),
    "minlength": lambda argument: length(argument, str(2**31)),
    "maxlength": lambda argument: length("0", argument),
    "regex": matches_regex,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteParameter:
    name: str
    checks: tuple[Check, ...] = ()
    default: str | None = None
    optional: bool = False
    catch_all: bool = False

    @property
    def can_be_absent(self) -> bool:
        return self.optional or self.catch_all or self.default is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTemplate:
    text: str
    pattern: re.Pattern[str]
    parameters: tuple[RouteParameter, ...]

    def match(self, path: str) -> dict[str, str] | None:
        """Returns the route values of a raw path without its leading slash, or None if it does not match."""
        found = self.pattern.fullmatch(path.strip("/"))
        if found is None:
            return None
        values: dict[str, str] = {}
        for number, parameter in enumerate(self.parameters):
            text = found[f"p{number}"]
            value = parameter.default if text is None else decoded(text)
            if value is None:
                continue
            if not all(check(value) for check in parameter.checks):
                return None
            values[parameter.name] = value
        return values


def decoded(text: str) -> str:
    """Decodes percent escapes, except for an encoded slash, which is no separator and stays encoded."""
    return "%2F".join(unquote(part) for part in re.split("%2F", text, flags=re.IGNORECASE))


def constraint(name: str, argument: str | None) -> Check:
    if argument is None and name in CONSTRAINTS:
        return CONSTRAINTS[name]
    if argument is not None and name in CONSTRAINTS_WITH_ARGUMENT:
        return CONSTRAINTS_WITH_ARGUMENT[name](argument)
    raise InvalidRouteError(f"unknown route constraint '{name}'")


def parameter_from_text(text: str) -> RouteParameter:
    found = PARAMETER.fullmatch(text)
    if found is None:
        raise InvalidRouteError(f"invalid route parameter '{{{text}}}'")
    checks = tuple(constraint(name.lower(), argument) for name, argument in split_constraints(found["constraints"]))
    return RouteParameter(
        name=found["name"].strip(),
        checks=checks,
        default=found["default"],
        optional=found["optional"] is not None,
        catch_all=bool(found["star"]),
    )


def split_constraints(text: str) -> list[tuple[str, str | None]]:
    return [(found[1], found[2]) for found in CONSTRAINT.finditer(text)]


def segments(text: str) -> list[str]:
    """Splits the template at the slashes outside braces."""
    return re.findall(r"(?:\{(?:[^{}]|\{\{|\}\})*\}|[^/{])+", text.strip("/"))


def template_from_text(text: str) -> RouteTemplate:
    """Raises InvalidRouteError."""
    parameters: list[RouteParameter] = []
    pattern = "".join(segment_pattern(segment, parameters, first=n == 0) for n, segment in enumerate(segments(text)))
    return RouteTemplate(text=text, pattern=re.compile(pattern, re.IGNORECASE), parameters=tuple(parameters))


def segment_pattern(segment: str, parameters: list[RouteParameter], *, first: bool) -> str:
    parts: list[str] = []
    for token in TOKEN.finditer(segment):
        if token["literal"] is not None:
            parts.append(re.escape(token["literal"].replace("{{", "{").replace("}}", "}")))
            continue
        parameter = parameter_from_text(token["parameter"])
        parts.append(f"(?P<p{len(parameters)}>{'.*' if parameter.catch_all else '[^/]+?'})")
        parameters.append(parameter)
    slash = "" if first else "/"
    body = "".join(parts)
    alone = len(parts) == 1 and parameters and body.startswith("(?P")
    return f"(?:{slash}{body})?" if alone and parameters[-1].can_be_absent else f"{slash}{body}"
