"""Does a turn that has its route take a place until its attempt has ended?"""

from state.fleet.promised_places import PROMISED_S, SEEN_S, SOON_S, PromisedPlaces


def test_a_promise_counts_for_others_until_its_attempt_runs_or_it_is_late() -> None:
    places = PromisedPlaces()
    places.give("gpu", "resp_a", now=0.0)
    places.give("gpu", "resp_b", now=1.0)
    assert len(places.beside("gpu", (), counted=("resp_a",), now=1.0)) == 1
    assert len(places.beside("gpu", (), counted=("resp_c",), now=1.0)) == 2
    assert len(places.beside("api", (), counted=("resp_c",), now=1.0)) == 0
    assert len(places.beside("gpu", (), counted=("resp_c",), now=PROMISED_S)) == 1
    assert len(places.beside("gpu", ("attempt_resp_b_001",), counted=("resp_c",), now=PROMISED_S)) == 0


def test_a_promise_ends_with_its_attempt() -> None:
    places = PromisedPlaces()
    places.give("gpu", "resp_a", now=0.0)
    places.give_back("gpu", "attempt_resp_b_001")
    assert len(places.beside("gpu", (), counted=("resp_c",), now=1.0)) == 1
    places.give_back("gpu", "attempt_resp_a_002")
    assert len(places.beside("gpu", (), counted=("resp_c",), now=1.0)) == 0


def test_the_memory_of_a_promise_is_promised_too() -> None:
    places = PromisedPlaces()
    places.give("gpu", "resp_a", now=0.0, claim=160)
    places.give("gpu", "resp_b", now=0.0)
    assert sorted(places.beside("gpu", (), counted=("resp_c",), now=1.0)) == [0, 160]


def test_a_place_is_free_soon_after_another_process_has_run_the_attempt() -> None:
    """Its end is given back there; here the attempt is seen to run, and then not any more."""
    places = PromisedPlaces()
    places.give("gpu", "resp_a", now=0.0)
    assert len(places.beside("gpu", ("attempt_resp_a_001",), counted=(), now=1.0)) == 0
    assert len(places.beside("gpu", (), counted=(), now=1.5)) == 1
    assert len(places.beside("gpu", (), counted=(), now=1.0 + SEEN_S)) == 0


def test_a_place_of_a_turn_that_somebody_waits_for_is_free_sooner() -> None:
    places = PromisedPlaces()
    places.give("gpu", "resp_a", now=0.0, for_s=SOON_S)
    places.give("gpu", "resp_b", now=0.0)
    assert len(places.beside("gpu", (), counted=(), now=SOON_S - 1)) == 2
    assert len(places.beside("gpu", (), counted=(), now=SOON_S)) == 1
