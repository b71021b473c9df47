#!/usr/bin/env python3
"""What odc-stac makes of STAC items, for tests of this project's `stac::load`.

    load_items.py CASES.json FOLDER

CASES.json is a list of {"items": [FILE...], "options": {...}, "pixels": bool}; options
are those of odc.stac.load.  Printed is a list with one entry a case: {"error": TEXT} or
{"crs", "shape", "transform", "times", "bands": {NAME: {"dtype", "nodata"}}}.  With
"pixels" the arrays are loaded and written as FOLDER/CASE-NAME.bin: (time, y, x), C order,
little-endian.
"""
import json
import sys
import warnings
from pathlib import Path

import odc.stac
import pystac
from odc.geo.geobox import GeoBox

warnings.filterwarnings("ignore")


def geobox(grid):
    """The grid of {"shape", "transform", "crs"}."""
    from affine import Affine

    return GeoBox(grid["shape"], Affine(*grid["transform"]), grid["crs"])


def number(value):
    """A nodata as JSON has it."""
    if value is None or value == value:
        return None if value is None else float(value)
    return "NaN"


def one(number_of_case, case, folder):
    items = []
    for path in case["items"]:
        document = json.loads(Path(path).read_text())
        documents = document["features"] if document.get("type") == "FeatureCollection" else [document]
        for document in documents:
            item = pystac.Item.from_dict(document)
            # Relative addresses start at the file, not at a link to elsewhere.
            item.set_self_href(str(path))
            items.append(item)
    options = dict(case["options"])
    if "geobox" in options:
        options["geobox"] = geobox(options["geobox"])
    if not case.get("pixels"):
        options["chunks"] = {}
    ds = odc.stac.load(items, **options)
    grid = ds.odc.geobox
    bands = {}
    for name, array in ds.data_vars.items():
        bands[name] = {"dtype": str(array.dtype), "nodata": number(array.attrs.get("nodata"))}
        if case.get("pixels"):
            array.values.astype(array.dtype.newbyteorder("<")).tofile(Path(folder) / f"{number_of_case}-{name}.bin")
    return {"crs": str(grid.crs), "shape": list(grid.shape), "transform": list(grid.transform)[:6],
            "times": [str(t) for t in ds.time.values.astype("datetime64[us]")], "bands": bands}


def main():
    cases = json.loads(Path(sys.argv[1]).read_text())
    answers = []
    for at, case in enumerate(cases):
        try:
            answers.append(one(at, case, sys.argv[2]))
        except Exception as error:  # what odc-stac refuses is an answer too
            answers.append({"error": f"{type(error).__name__}: {error}"})
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
