import pytest

from composition import production
from domain.values import Discreet

PACKAGES = ("activities", "api", "clients", "domain", "settings", "state")
CONCEALING = [kind for kind in Discreet.__subclasses__() if kind.__module__.split(".")[0] in PACKAGES]


def test_every_part_of_the_product_is_loaded_here() -> None:
    assert production
    assert {"BearerToken", "Settings", "ToolServer"} <= {kind.__name__ for kind in CONCEALING}


@pytest.mark.parametrize("kind", CONCEALING, ids=lambda kind: kind.__name__)
def test_what_a_value_conceals_is_a_field_of_it(kind: type[Discreet]) -> None:
    assert kind.concealed
    assert set(kind.concealed) <= set(kind.__struct_fields__)
