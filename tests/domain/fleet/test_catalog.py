"""What can a deployment do by itself, and which models does a fleet serve?"""

from copy import replace

from domain.content.capabilities import Capability
from domain.fleet.catalog import INEXPRESSIBLE, Adapter, Fleet, ImageMode, LogprobsMode
from tests.checks import every
from tests.domain.fleets import SMALL, backend

GPU = backend("gpu")


def test_every_wire_says_what_it_cannot_express() -> None:
    assert set(INEXPRESSIBLE) == set(Adapter)
    assert GPU.inexpressible == INEXPRESSIBLE[GPU.adapter]


def test_a_deployment_has_the_abilities_that_its_settings_name_and_its_wire_has_a_form_for() -> None:
    able = replace(GPU, images=ImageMode.FETCH, logprobs=LogprobsMode.TEXT)
    assert replace(GPU, images=ImageMode.DATA, logprobs=LogprobsMode.NO).abilities == frozenset()
    assert able.abilities == {Capability.IMAGE_ADDRESS, Capability.LOGPROBS}
    wires = [replace(able, adapter=adapter) for adapter in Adapter]
    assert every(not each.abilities & each.inexpressible for each in wires)
    assert replace(able, adapter=Adapter.CONVERSE).abilities == {Capability.IMAGE_ADDRESS}


def test_a_model_that_answers_by_a_schema_can_call_tools() -> None:
    by_schema = replace(SMALL, capabilities=frozenset({Capability.JSON_SCHEMA}))
    assert by_schema.abilities == {Capability.JSON_SCHEMA, Capability.TOOLS}
    assert replace(by_schema, capabilities=frozenset[Capability]()).abilities == frozenset()


def test_a_model_without_a_configured_backend_is_not_served() -> None:
    first, lost, last = (replace(SMALL, name=name) for name in ("first", "lost", "last"))
    backends = {name: replace(backend(name), model=of) for name, of in (("b", "last"), ("a", "first"), ("c", "first"))}
    fleet = Fleet(models={each.name: each for each in (first, lost, last)}, backends=backends)
    assert fleet.served_models() == (first, last)


def test_the_residencies_of_a_fleet_are_those_that_backends_name() -> None:
    places = (("a", "eu"), ("b", "us"), ("c", None), ("d", "eu"))
    backends = {name: replace(backend(name), residency=place) for name, place in places}
    assert Fleet(models={}, backends=backends).residencies == {"eu", "us"}
