"""Prints the microseconds that dask.distributed takes for a function that does
nothing: the best of processes and threads in one process, with map and gather,
20,000 tasks, after a first round that warms it up."""

import time

from dask.distributed import Client, LocalCluster

TASKS = 20_000


def nothing(i):
    return i


def measure(**options):
    with LocalCluster(dashboard_address=None, **options) as cluster:
        with Client(cluster) as client:
            client.gather(client.map(nothing, range(1000), pure=False))
            times = []
            for _ in range(2):
                start = time.perf_counter()
                client.gather(client.map(nothing, range(TASKS), pure=False))
                times.append(time.perf_counter() - start)
    return 1e6 * min(times) / TASKS


if __name__ == "__main__":
    print(min(measure(), measure(processes=False)))
