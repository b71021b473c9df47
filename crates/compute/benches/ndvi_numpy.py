#!/usr/bin/env python3
"""Masked NDVI in numpy and dask: what `ndvi.rs` is measured against.

    ndvi_numpy.py ROWS COLS SECONDS THREADS     # prints one JSON object

`whole`: numpy on whole arrays, `blocks`: in blocks of 16 rows, which stay in the
cache; Mpixel per CPU second of one thread. `dask`, where it is installed: dask.array
over the same arrays in memory on so many threads; `dask_rate`: Mpixel per second with
the best number of rows a chunk, `dask_rows`.
"""
import json
import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np

rows, cols, seconds, threads = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
rng = np.random.default_rng(1)
red = rng.integers(0, 10000, (rows, cols), dtype=np.uint16)
nir = rng.integers(0, 10000, (rows, cols), dtype=np.uint16)
qa = rng.choice(np.array([0, 8, 16, 64, 128], np.uint16), (rows, cols))
MASK, VALUE = np.uint16(0b10011001), 0


def ndvi(q, r, n):
    good = (q & MASK) == VALUE
    r = np.where(good, r, np.float32("nan"))
    n = np.where(good, n, np.float32("nan"))
    return (n - r) / (n + r)


def blocks():
    out = np.empty((rows, cols), np.float32)
    for i in range(0, rows, 16):
        out[i:i + 16] = ndvi(qa[i:i + 16], red[i:i + 16], nir[i:i + 16])
    return out


def best(fn, clock=time.process_time):  # CPU time: a busy machine takes nothing away
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = clock()
        fn()
        times.append(clock() - start)
    return rows * cols / 1e6 / min(times)


def dask_threads(chunk):
    import dask.array as da

    q, r, n = (da.from_array(a, chunks=(chunk, cols)) for a in (qa, red, nir))
    good = (q & MASK) == VALUE
    r, n = (da.where(good, a, np.float32("nan")) for a in (r, n))
    lazy = (n - r) / (n + r)
    return best(lambda: lazy.compute(scheduler="threads", num_workers=threads), time.perf_counter)


np.seterr(all="ignore")
found = {"numpy": np.__version__, "whole": best(lambda: ndvi(qa, red, nir)), "blocks": best(blocks)}
try:
    import dask
except ImportError:
    pass
else:
    found |= {"dask": dask.__version__}
    found["dask_rate"], found["dask_rows"] = max((dask_threads(chunk), chunk) for chunk in (64, 256, 1024))
print(json.dumps(found))
