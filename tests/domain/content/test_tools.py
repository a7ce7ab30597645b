"""Which functions may a model call, and which capabilities does a request need?"""

from copy import replace

import pytest

from domain.content.capabilities import Capability
from domain.content.custom_tools import CustomInput, ToolNamespace
from domain.content.tools import (
    FunctionCall,
    FunctionTool,
    OfferedServer,
    OutputFormat,
    OutputFormatKind,
    ToolChoice,
    ToolConfig,
)

OWN = FunctionTool(name="own", description="Mine.", parameters={"type": "object"}, strict=True)
SPACED = FunctionTool(name="find", namespace=ToolNamespace(name="shop", description="Sells."), custom=CustomInput())
SERVED = FunctionTool(name="find", server="web", writes=True, needs_approval=True, target="t")
CONFIG = ToolConfig(functions=(OWN, SPACED, SERVED))


def test_each_function_has_a_name_of_its_own() -> None:
    assert [each.flat_name for each in CONFIG.functions] == ["own", "shop__find", "web__find"]


def test_a_description_has_all_that_a_model_must_know() -> None:
    assert FunctionTool(name="a").full_description is None
    assert OWN.full_description == "Mine."
    assert SPACED.full_description == f"shop: Sells.\n{CustomInput().instructions}"


def test_only_allowed_functions_may_be_called() -> None:
    assert CONFIG.callable_functions == (OWN, SPACED, SERVED)
    assert replace(CONFIG, allowed_names=("web__find", "gone")).callable_functions == (SERVED,)
    assert replace(CONFIG, tool_choice=ToolChoice.NONE).callable_functions == ()
    call = FunctionCall(name="find", arguments="{}", server="web")
    assert CONFIG.may_call(call)
    assert not CONFIG.may_call(replace(call, server="shop"))
    assert not replace(CONFIG, allowed_names=("own",)).may_call(call)


@pytest.mark.parametrize(
    ("config", "needs"),
    [
        (ToolConfig(), set[Capability]()),
        (CONFIG, {Capability.TOOLS}),
        (replace(CONFIG, tool_choice=ToolChoice.NONE), set[Capability]()),
        (ToolConfig(format=OutputFormat(kind=OutputFormatKind.JSON_OBJECT)), {Capability.JSON_SCHEMA}),
        (ToolConfig(images=2, image_addresses=1), {Capability.VISION, Capability.IMAGE_ADDRESS}),
    ],
)
def test_a_request_needs_what_it_uses(config: ToolConfig, needs: set[Capability]) -> None:
    assert config.required_capabilities == needs


@pytest.mark.parametrize(
    ("flat", "named"),
    [
        ("own", FunctionCall(name="own", arguments="{}")),
        ("shop__find", FunctionCall(name="find", arguments="{}", namespace="shop", is_custom=True)),
        ("web__find", FunctionCall(name="find", arguments="{}", server="web")),
        ("unknown", FunctionCall(name="unknown", arguments="{}")),
    ],
)
def test_a_call_is_named_as_its_caller_named_the_function(flat: str, named: FunctionCall) -> None:
    assert CONFIG.named(FunctionCall(name=flat, arguments="{}")) == named


def test_a_function_of_a_server_is_found_whether_or_not_it_may_be_called() -> None:
    assert replace(CONFIG, tool_choice=ToolChoice.NONE).function_of("web", "find") == SERVED
    assert CONFIG.function_of("shop", "find") is None
    assert CONFIG.function_of("", "own") is None


def test_a_call_is_required_in_the_first_round_only() -> None:
    required = replace(CONFIG, tool_choice=ToolChoice.REQUIRED, allowed_names=("own",))
    assert required.after_rounds(0) == required
    assert required.after_rounds(1) == replace(required, tool_choice=ToolChoice.AUTO)
    one = replace(required, must_call_one=True)
    assert one.after_rounds(2) == CONFIG
    assert replace(CONFIG, tool_choice=ToolChoice.NONE).after_rounds(1).tool_choice is ToolChoice.NONE


@pytest.mark.parametrize(
    "config",
    [
        ToolConfig(),
        replace(
            CONFIG,
            tool_choice=ToolChoice.REQUIRED,
            allowed_names=("own",),
            must_call_one=True,
            parallel=False,
            format=OutputFormat(kind=OutputFormatKind.JSON_SCHEMA, name="a", schema={"type": "object"}, strict=False),
            images=3,
            image_addresses=1,
            servers=(OfferedServer(label="web", request={"type": "mcp"}, problem="down", is_new=False),),
            max_tool_calls=0,
            approval_s=9.0,
            is_tainted=True,
        ),
    ],
)
def test_all_of_it_is_read_as_it_was_written(config: ToolConfig) -> None:
    assert ToolConfig.from_document(config.to_document()) == config
