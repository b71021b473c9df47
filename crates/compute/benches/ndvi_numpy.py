#!/usr/bin/env python3
"""Masked NDVI in numpy, one thread: what `ndvi.rs` is measured against.

    ndvi_numpy.py ROWS COLS SECONDS     # prints one JSON object: Mpixel per CPU second

`whole`: on whole arrays. `blocks`: in blocks of 16 rows, which stay in the cache.
"""
import json
import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np

rows, cols, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
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


def best(fn):
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.process_time()  # CPU time: a busy machine takes nothing away
        fn()
        times.append(time.process_time() - start)
    return rows * cols / 1e6 / min(times)


np.seterr(all="ignore")
print(json.dumps({"numpy": np.__version__, "whole": best(lambda: ndvi(qa, red, nir)), "blocks": best(blocks)}))
