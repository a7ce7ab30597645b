"""Do the tests of the pure core find small defects of its logic?"""

import os
from random import Random
from types import ModuleType

import pytest

from tests.checks import every
from tests.mutation.changing import change_code
from tests.mutation.mutants import mutants_of
from tests.mutation.runner import CORE, all_mutants, judge, path_of

LEAST_SCORE = 0.85

SAMPLE = int(os.environ.get("TEST_MUTANTS", "120"))
SEED = int(os.environ.get("TEST_SEED", "0"))

SOURCE = '''
def price(amount: int, *, limit: int = 3) -> str:
    """Doubles < 1 do not count."""
    if not amount or amount < limit:
        return "low" if ready() else f"{amount + 1} is low"
    return min(amount - 1, limit)
'''


def test_each_kind_of_logic_has_its_defects() -> None:
    found = [one.what.partition(": ")[2] for one in mutants_of("m", SOURCE)]
    assert sorted(found) == sorted(
        [
            "3 → 4",
            "not amount or amount < limit → not amount and amount < limit",
            "not amount → amount",
            "amount < limit → amount <= limit",
            "'low' if ready() else f'{amount + 1} is low' → 'low' if not ready() else f'{amount + 1} is low'",
            "min(amount - 1, limit) → max(amount - 1, limit)",
            "amount - 1 → amount + 1",
            "1 → 2",
        ]
    )


def test_a_mutant_is_whole_and_differs_from_its_module() -> None:
    source = path_of("domain.money.budgets").read_text(encoding="utf-8")
    found = list(mutants_of("domain.money.budgets", source))
    assert len({one.source for one in found}) == len(found) > 20
    assert every(compile(one.source, one.what, "exec") for one in found)


FIRST, SECOND = (
    """
from functools import cache
class Price:
    @property
    def least(self): return min(self.all())
    def all(self): return [1, 2]
    @staticmethod
    def none(): return 0
@cache
def cached(): return 3
""",
    """
from functools import cache
class Price:
    @property
    def least(self): return max(self.all())
    def all(self): return [1, 4]
    @staticmethod
    def none(): return 1
@cache
def cached(): return 5
""",
)


def test_the_functions_of_a_loaded_module_get_the_code_of_the_mutant() -> None:
    module = ModuleType("changed")
    module.__file__ = "changed.py"
    exec(FIRST, vars(module))  # noqa: S102 - the module of this test
    price, cached = module.Price(), module.cached
    change_code(module, SECOND)
    assert (price.least, price.none(), cached()) == (4, 1, 5)


@pytest.mark.campaign
@pytest.mark.long
@pytest.mark.timeout(7200)
def test_the_tests_of_the_core_kill_most_mutants() -> None:
    """A sample of them, chosen by TEST_SEED; TEST_MUTANTS is its size, and 0 means all."""
    mutants = all_mutants(CORE)
    chosen = Random(SEED).sample(mutants, min(SAMPLE, len(mutants))) if SAMPLE else mutants  # noqa: S311 - a sample
    verdicts = judge(chosen)
    print(f"{verdicts.killed} of {len(chosen)} mutants killed")  # noqa: T201 - the figure of the campaign
    assert verdicts.score >= LEAST_SCORE, verdicts.survivors
