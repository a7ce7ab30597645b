"""Does the cache of results stay within its bounds?"""

from copy import replace

import pytest

import activities.tools.result_cache as module
from activities.tools.call_task import CallTask
from activities.tools.result_cache import ResultCache
from domain.tools.outcomes import completed
from tests.activities.test_call_tool import Calling
from tests.fakes.tools import FILE, shop


async def task_for(number: int) -> CallTask:
    calling = Calling("find_order", servers=shop(FILE.replace('effect = "read"', 'effect = "read"\ncache_s = 60')))
    return replace(await calling.task(await calling.asked()), arguments={"number": str(number)})


async def test_the_least_recently_used_results_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CHARACTERS", 100)
    tasks = [await task_for(number) for number in range(3)]
    cache = ResultCache(tasks[0].watch.turns.clock)
    cache.keep(tasks[0], completed("a" * 40))
    cache.keep(tasks[1], completed("b" * 40))
    assert cache.find(tasks[0])
    cache.keep(tasks[2], completed("c" * 40))
    assert [cache.find(each) is not None for each in tasks] == [True, False, True]
    assert cache.characters == 80
    cache.keep(tasks[0], completed("d" * 200))
    assert (len(cache.results), cache.characters) == (0, 0)
