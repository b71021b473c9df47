#!/usr/bin/env python3
"""Reductions in dask, threads: what `reduce.rs` is measured against.

    reduce_dask.py DATES ROWS COLS THREADS SECONDS     # prints one JSON object: best times in seconds

Chunks are whole in time and 256 x 256, which is what suits dask best.
"""
import json
import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
import dask
import dask.array as da
import numpy as np
import xarray as xr

dates, rows, cols, threads = map(int, sys.argv[1:5])
seconds = float(sys.argv[5])
rng = np.random.default_rng(1)
pixels = rng.random((dates, rows, cols), dtype=np.float32)
pixels[pixels < 0.1] = np.nan
lazy = da.from_array(pixels, chunks=(dates, 256, 256))
array = xr.DataArray(lazy, dims=("time", "y", "x"))
whole = xr.DataArray(da.from_array(pixels, chunks=(10, 256, 256)), dims=("time", "y", "x"))


def best(make):
    times, end = [], time.perf_counter() + seconds
    while len(times) < 1 or time.perf_counter() < end:
        start = time.perf_counter()
        with dask.config.set(scheduler="threads", num_workers=threads):
            make().compute()
        times.append(time.perf_counter() - start)
    return min(times)


print(json.dumps({
    "dask": dask.__version__,
    "median": best(lambda: array.median("time")),
    "mean": best(lambda: array.mean("time")),
    "std": best(lambda: array.std("time")),
    "mean_all": best(lambda: whole.mean()),
    "anomaly": best(lambda: (whole - whole.mean("time")).max()),
    "rolling": best(lambda: array.rolling(time=5).mean().max("time")),
}))
