#!/usr/bin/env python3
"""Open Zarr stores with xarray and compare them with what their writer says.

usage: open_zarr.py CASES.json

CASES.json is a list of objects written by crates/datacube/tests/zarr.rs. Needs
xarray and zarr-python 3; checked with xarray 2026.9.0 and zarr 3.4.2. Any
warning counts as a failure. Prints one line a case.
"""
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import xarray as xr

warnings.simplefilter("error")


def same(a, b):
    return np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")


def check(case):
    # As users open it: gaps become NaN, times become times.
    ds = xr.open_zarr(case["path"], chunks=None)
    raw = xr.open_zarr(case["path"], chunks=None, mask_and_scale=False)
    assert set(ds.data_vars) == {v["name"] for v in case["variables"]}, ds
    assert set(ds.coords) == set(case["coords"]), ds.coords
    for name, want in case["attrs"].items():
        assert ds.attrs[name] == want, ds.attrs
    for name, want in case["coords"].items():
        coord = ds[name]
        assert list(coord.dims) == want["dims"], (name, coord.dims)
        if want["kind"] == "time":
            assert coord.dtype.kind == "M", coord.dtype
            got = coord.values.astype("datetime64[ns]").astype("i8")
        else:
            got = coord.values
        if want["kind"] == "scalar":
            assert coord.dtype == "int32", coord.dtype
        assert (np.atleast_1d(got) == np.asarray(want["values"])).all(), (name, got)
        for key, value in want["attrs"].items():
            assert coord.attrs[key] == value, (name, coord.attrs)
    for want in case["variables"]:
        name, dtype = want["name"], want["dtype"]
        var = raw[name]
        pixels = np.fromfile(want["raw"], dtype).reshape(want["shape"])
        assert list(var.dims) == want["dims"] and var.dtype == dtype, var
        assert same(var.values, pixels), name
        chunks = var.encoding["chunks"]
        assert list(chunks) == want["chunks"], chunks
        for key, value in want["attrs"].items():
            got = var.attrs[key]
            assert np.array_equal(got, value), (name, key, got, value)
        assert set(var.attrs) == set(want["attrs"]) | {"_FillValue"} & set(var.attrs), var.attrs
        nodata, masked = want["nodata"], ds[name]
        if want["flags"] or nodata is None:
            assert masked.dtype == dtype and same(masked.values, pixels), name
        else:
            gaps = np.isnan(pixels) if nodata == "nan" else pixels == nodata
            assert masked.dtype.kind == "f" or nodata == "nan", masked.dtype
            assert (np.isnan(masked.values) == gaps).all(), name
            if "scale_factor" in want["attrs"]:
                value = pixels * want["attrs"]["scale_factor"] + want["attrs"]["add_offset"]
                assert np.allclose(masked.values[~gaps], value[~gaps], rtol=1e-5), name
    print(f"ok {case['path']}: {dict(ds.sizes)}, {len(ds.data_vars)} variables")


for each in json.loads(Path(sys.argv[1]).read_text()):
    check(each)
