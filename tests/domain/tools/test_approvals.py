"""Which call does an approval bind, until when, and who may decide it?"""

from copy import replace

import pytest

from domain.content.items import Item, ItemKind
from domain.content.tools import FunctionTool, ToolConfig
from domain.identity.owners import Owner
from domain.tools.approvals import TARGET, Approval, Decider, Decision, decider_of, new_approval, pin_of
from domain.tools.catalog import ToolServer, ToolServers

PAY = FunctionTool(name="pay", server="shop", description="Pays.", parameters={"type": "object"}, target="t1")
REQUEST = Item(id="mcpr_1", kind=ItemKind.APPROVAL_REQUEST, name="pay", server="shop", text='{"n": 1}')
ASKED = new_approval(REQUEST, PAY, response_id="resp_1", at=100.0, lasts_s=60.0)
YES = Decision(approves=True, reason="", by="user:2", at=120.0)
NOBODY = replace(YES, approves=False, by="")


def test_a_request_lasts_as_long_as_it_says() -> None:
    assert (ASKED.has_expired(159.9), ASKED.has_expired(160.0)) == (False, True)
    assert not ASKED.decided(YES).has_expired(1e9)
    assert ASKED.decided(NOBODY).has_expired(0.0)


def test_only_a_turn_that_waits_can_be_answered_in_place() -> None:
    waiting = ASKED.asked_in_place('{"n": 1}', roles={"b", "a"}, four_eyes=True)
    assert (waiting.roles, waiting.four_eyes, waiting.arguments) == (("a", "b"), True, '{"n": 1}')
    assert (ASKED.is_open(100.0), waiting.is_open(159.9), waiting.is_open(160.0)) == (False, True, False)
    assert not waiting.decided(YES).is_open(100.0)


@pytest.mark.parametrize(
    ("approval", "status"),
    [
        (ASKED, "open"),
        (replace(ASKED, waits=True), "open"),
        (ASKED.decided(YES), "closed"),
        (replace(ASKED, waits=True, decision=YES), "decided"),
    ],
)
def test_the_sweep_finds_decisions_that_are_not_carried_out(approval: Approval, status: str) -> None:
    assert approval.status == status
    assert Approval.from_document(approval.to_document()) == approval


@pytest.mark.parametrize(
    "changed",
    [
        replace(PAY, description="Pays all."),
        replace(PAY, parameters={"type": "object", "properties": {}}),
        replace(PAY, writes=True),
        replace(PAY, target="t2"),
        replace(PAY, target=""),
        replace(PAY, name="refund"),
    ],
)
def test_an_approval_binds_the_tool_as_it_was(changed: FunctionTool) -> None:
    assert ASKED.binds(ToolConfig(functions=(PAY,)))
    assert not ASKED.binds(ToolConfig(functions=(changed,)))
    assert not ASKED.binds(ToolConfig())


def test_a_pin_of_an_earlier_release_does_not_bind_the_target() -> None:
    earlier = replace(ASKED, pin=pin_of(PAY).partition(TARGET)[0])
    assert earlier.is_pinned(replace(PAY, target="t2"))
    assert not earlier.is_pinned(replace(PAY, description="Pays all."))
    assert pin_of(replace(PAY, description="\ud800")) != pin_of(PAY)


OWNER = Owner(tenant="t", subject="user:1")
CHIEF = Owner(tenant="t", subject="user:2", roles=("chief",))


@pytest.mark.parametrize(
    ("caller", "four_eyes", "part"),
    [
        (OWNER, False, Decider(is_owner=True, may_decide=True)),
        (OWNER, True, Decider(is_owner=True, may_decide=False)),
        (replace(OWNER, roles=("chief",)), True, Decider(is_owner=True, may_decide=False)),
        (CHIEF, False, Decider(is_owner=False, may_decide=True)),
        (CHIEF, True, Decider(is_owner=False, may_decide=True)),
        (replace(CHIEF, roles=("clerk",)), False, Decider(is_owner=False, may_decide=False)),
        (replace(CHIEF, tenant="other"), False, Decider(is_owner=False, may_decide=False)),
        (replace(OWNER, tenant="other"), False, Decider(is_owner=False, may_decide=False)),
    ],
)
def test_the_owner_or_a_role_of_the_tenant_decides(caller: Owner, part: Decider, *, four_eyes: bool) -> None:
    shop = ToolServer(label="shop", address="https://host", tools={}, approvers=frozenset({"chief"}))
    by_file = ToolServers(known={"shop": replace(shop, four_eyes=four_eyes)})
    assert decider_of(ASKED, by_file, OWNER, caller) == part
    by_request = ToolServers(known={"shop": shop})
    assert decider_of(replace(ASKED, four_eyes=four_eyes), by_request, OWNER, caller) == part


def test_the_owner_decides_where_the_file_has_the_server_no_longer() -> None:
    assert decider_of(ASKED, ToolServers(), OWNER, OWNER).may_decide
    assert not decider_of(ASKED, ToolServers(), OWNER, CHIEF).may_decide
