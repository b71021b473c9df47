#!/usr/bin/env python3
"""Open COGs with GDAL and compare them with what their writer says is in them.

usage: check_cog.py CASES.json

CASES.json is a list of objects written by crates/datacube/tests/cog.rs: the
file, the raw pixels (C order: band, row, column) and everything that GDAL
should read back. Needs rasterio and rio-cogeo; checked with rasterio 1.5.2
(GDAL 3.12.2) and rio-cogeo 7.0.4. Prints one line a case; exits 1 on the first
difference.
"""
import json
import struct
import sys
import tempfile
from pathlib import Path

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.transform import Affine
from rio_cogeo.cogeo import cog_validate

TYPES = {2: "c", 3: "H", 4: "I", 12: "d", 16: "Q"}


def directories(data):
    """Tags of every directory, in file order: (offset, {code: values})."""
    big = struct.unpack("<H", data[2:4])[0] == 43
    word, n, entry, inline = ("Q", 8, 20, 8) if big else ("I", 4, 12, 4)
    at = struct.unpack("<" + word, data[n:2 * n])[0]
    while at:
        count = struct.unpack("<Q" if big else "<H", data[at:at + (8 if big else 2)])[0]
        pos, tags = at + (8 if big else 2), {}
        for _ in range(count):
            code, kind = struct.unpack("<HH", data[pos:pos + 4])
            m = struct.unpack("<" + word, data[pos + 4:pos + 4 + n])[0]
            size = m * struct.calcsize(TYPES[kind])
            where = pos + 4 + n
            if size > inline:
                where = struct.unpack("<" + word, data[where:where + inline])[0]
            tags[code] = struct.unpack(f"<{m}{TYPES[kind]}", data[where:where + size])
            pos += entry
        yield at, tags
        at = struct.unpack("<" + word, data[pos:pos + n])[0]


def check_structure(path):
    """What GDAL's validator calls a full check: order, leaders, trailers."""
    data = path.read_bytes()
    header = 16 if struct.unpack("<H", data[2:4])[0] == 43 else 8
    assert data[header:].startswith(b"GDAL_STRUCTURAL_METADATA_SIZE=")
    size = int(data[header + 30:header + 36])
    note = data[header + 43:header + 43 + size].decode()
    assert note.endswith("KNOWN_INCOMPATIBLE_EDITION=NO\n "), note
    images = list(directories(data))
    assert [at for at, _ in images] == sorted(at for at, _ in images)
    last = images[-1][0]
    for _, tags in reversed(images):  # coarse levels come first
        for offset, count in zip(tags[324], tags[325]):
            assert offset > last, "blocks are not in file order"
            assert struct.unpack("<I", data[offset - 4:offset])[0] == count, "leader"
            assert data[offset + count:offset + count + 4] == data[offset + count - 4:offset + count]
            last = offset
    assert last + count + 4 == len(data), "something follows the last block"


def gdal_overviews(case, pixels, profile, resampling):
    """The overviews that GDAL's COG driver makes of the same pixels."""
    with tempfile.TemporaryDirectory() as folder:
        name = Path(folder) / "gdal.tif"
        profile = dict(profile, driver="COG", blocksize=case["block"], compress="DEFLATE",
                       overview_resampling=resampling)
        for key in ("blockxsize", "blockysize", "tiled", "interleave", "photometric"):
            profile.pop(key, None)
        with rasterio.open(name, "w", **profile) as dst:
            dst.write(pixels)
        with rasterio.open(name) as src:
            n = len(src.overviews(1))
        for level in range(n):
            with rasterio.open(name, overview_level=level) as src:
                yield src.read()


def same(a, b):
    return (a == b) | (np.isnan(a) & np.isnan(b)) if a.dtype.kind in "fc" else a == b


def check(case):
    path = Path(case["path"])
    valid, errors, warnings = cog_validate(path, strict=True, quiet=True)
    assert valid, (errors, warnings)
    check_structure(path)
    dtype = "uint8" if case["dtype"] == "bool" else case["dtype"]
    with rasterio.open(path) as src:
        shape = (len(case["descriptions"]), case["rows"], case["cols"])
        expected = np.fromfile(case["raw"], dtype).reshape(shape)
        pixels = src.read()
        want = "float32" if dtype == "float16" and src.dtypes[0] == "float32" else dtype
        assert set(src.dtypes) == {want}, src.dtypes
        assert pixels.shape == shape and same(pixels, expected.astype(want)).all()
        assert list(src.descriptions) == case["descriptions"], src.descriptions
        nodata = case["nodata"]
        if nodata is None:
            assert src.nodata is None, src.nodata
        else:
            assert same(np.float64(src.nodata), np.float64(nodata)), src.nodata
        assert src.transform == Affine(*case["affine"]), src.transform
        if case["crs"] is None:
            assert src.crs is None
        else:
            assert src.crs == CRS.from_user_input(case["crs"]), src.crs
        assert list(src.units) == case["units"], src.units
        if case["scale"]:
            assert src.scales[0] == case["scale"][0] and src.offsets[0] == case["scale"][1]
        for key, value in case["tags"].items():
            assert src.tags()[key] == value, src.tags()
        assert src.block_shapes[0] == (case["block"], case["block"])
        n_overviews = len(src.overviews(1))
        if n_overviews and case["overviews"]:
            structure = src.tags(ns="IMAGE_STRUCTURE")
            made = case["overviews"].upper()  # GDAL before 3.11 does not tell
            assert structure.get("OVERVIEW_RESAMPLING", made) == made, structure
        assert all(src.overviews(band + 1) == src.overviews(1) for band in range(src.count))
        profile = dict(src.profile)
    # Quantities agree to rounding; what nearest takes agrees exactly.
    least, resampling = 1.0, case["overviews"]
    theirs = list(gdal_overviews(case, pixels, profile, resampling)) if resampling else []
    if resampling:
        assert len(theirs) == n_overviews, (len(theirs), n_overviews)
    for level, their in enumerate(theirs):
        with rasterio.open(path, overview_level=level) as src:
            ours = src.read()
        assert ours.shape == their.shape, (ours.shape, their.shape)
        if resampling == "nearest":
            assert same(ours, their).all(), level
            continue
        if ours.dtype.kind == "f":
            rtol = 2e-3 if dtype == "float16" else 1e-5
            close = np.isclose(ours, their, rtol=rtol, atol=1e-6, equal_nan=True)
            assert close.all(), (level, (~close).mean())
        else:
            off = np.abs(ours.astype("f8") - their.astype("f8"))
            assert off.max() <= 1 + level, (level, off.max())
            least = min(least, (off == 0).mean())
    assert least > 0.998, f"only {least:.4f} of the averaged pixels are those of GDAL"
    print(f"ok {path.name}: {shape} {dtype}, {n_overviews} overviews, {100 * least:.2f} % equal")


for case in json.loads(Path(sys.argv[1]).read_text()):
    try:
        check(case)
    except AssertionError:
        print(f"FAILED {case['path']}", file=sys.stderr)
        raise
