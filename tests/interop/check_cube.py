#!/usr/bin/env python3
"""Compare a cube written as COG with the same cube written as Zarr.

usage: check_cube.py CASES.json

CASES.json is a list of objects written by crates/datacube/tests/export_cube.rs.
Needs rasterio, xarray and zarr, and rio-cogeo to check the layout of the file. Prints one line a case.
"""
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import rasterio
import xarray as xr
from rasterio.crs import CRS

try:
    from rio_cogeo.cogeo import cog_validate
except ImportError:  # Callers that want the layout checked ask for it.
    cog_validate = None

warnings.simplefilter("error")


def check(case):
    if cog_validate:
        valid, errors, notes = cog_validate(case["cog"], strict=True, quiet=True)
        assert valid, (errors, notes)
    ds = xr.open_zarr(case["zarr"], chunks=None, mask_and_scale=False)
    names = case["variables"]
    assert list(ds.data_vars) and set(ds.data_vars) == set(names)
    ref = ds["spatial_ref"]
    with rasterio.open(case["cog"]) as src:
        # The grid: three statements of it agree.
        assert src.crs == CRS.from_wkt(ref.attrs["crs_wkt"])
        assert src.crs.to_epsg() == int(ref)
        c, a, b, f, d, e = map(float, ref.attrs["GeoTransform"].split())
        assert src.transform.to_gdal() == (c, a, b, f, d, e)
        assert ref.attrs["grid_mapping_name"]
        x, y = ds["x"].values, ds["y"].values
        assert (x == c + a * (np.arange(src.width) + .5)).all()
        assert (y == f + e * (np.arange(src.height) + .5)).all()
        band = 0
        for name in names:
            var = ds[name]
            assert var.attrs["grid_mapping"] == "spatial_ref", var.attrs
            planes = var.values if "time" in var.dims else var.values[None]
            for step, plane in enumerate(planes):
                band += 1
                assert np.array_equal(src.read(band), plane, equal_nan=plane.dtype.kind == "f")
                tags = src.tags(band)
                assert tags["variable"] == name
                if "time" in var.dims:
                    label = str(np.datetime64(tags["time"], "ns"))
                    assert label == str(ds["time"].values[step].astype("datetime64[ns]"))
                    assert tags["time"] in src.descriptions[band - 1]
                else:
                    assert src.descriptions[band - 1] == name
                if "scale_factor" in var.attrs:
                    assert src.scales[band - 1] == var.attrs["scale_factor"]
                    assert src.offsets[band - 1] == var.attrs["add_offset"]
                    assert src.units[band - 1] == var.attrs["units"]
        assert band == src.count
        nodata = ds[names[0]].attrs.get("nodata")
        assert np.array_equal(src.nodata, float(nodata), equal_nan=True), (src.nodata, nodata)
    print(f"ok {Path(case['cog']).stem}: {dict(ds.sizes)}, {band} bands")


for each in json.loads(Path(sys.argv[1]).read_text()):
    check(each)
