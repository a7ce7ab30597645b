"""How many instances does the traffic need?"""

from standins.cloud_run.options import CloudRunOptions


def needed_instances(options: CloudRunOptions, *, waiting: int, busy: int) -> int:
    """Gives how many instances all waiting and running requests need, within the limit."""
    return min(options.max_instances, -(-(waiting + busy) // options.concurrency))


def to_start(options: CloudRunOptions, *, waiting: int, busy: int, alive: int) -> int:
    return max(0, needed_instances(options, waiting=waiting, busy=busy) - alive)


def to_withdraw(options: CloudRunOptions, *, waiting: int, busy: int, alive: int, starting: int) -> int:
    """Gives how many starting instances no request waits for; none where abandoned starts continue."""
    if options.abandoned_starts:
        return 0
    return min(starting, max(0, alive - needed_instances(options, waiting=waiting, busy=busy)))
