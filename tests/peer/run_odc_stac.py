#!/usr/bin/env python3
"""Load every case and every way with odc-stac, from the archive's STAC items.

    run_odc_stac.py --archive ARCHIVE --results FOLDER

odc-loader leaves the width of the kernels to GDAL: our `--warp-scale auto`.
"""
import json
import tempfile
from pathlib import Path

import peer
import ways


def grid(case):
    """The grid that datacube makes of the same query."""
    from odc.geo.geobox import GeoBox
    from odc.geo.geom import polygon

    (x0, x1), (y0, y1) = case.lon, case.lat
    box = polygon([(x0, y1), (x1, y1), (x1, y0), (x0, y0), (x0, y1)], "EPSG:4326")
    anchor = "edge" if case.align is None else case.align / case.resolution
    return GeoBox.from_geopolygon(box, resolution=case.resolution, crs=case.output_crs, anchor=anchor)


def items(archive, case):
    """The items that the query finds, with absolute addresses."""
    import pystac

    first, last = case.time
    for doc in json.loads((archive / "stac" / "items.json").read_text())["features"]:
        west, south, east, north = doc["bbox"]
        inside = west <= case.lon[1] and east >= case.lon[0] and south <= case.lat[1] and north >= case.lat[0]
        if inside and first <= doc["properties"]["datetime"][:10] <= last:
            for asset in doc["assets"].values():
                asset["href"] = f"file://{archive}/{asset['href']}"
            yield pystac.Item.from_dict(doc)


def main():
    opt = peer.arguments(__doc__)
    import odc.stac

    for case in peer.cases(opt.cases):
        ds = odc.stac.load(list(items(opt.archive, case)), bands=case.measurements, geobox=grid(case),
                           groupby="solar_day", resampling=case.resampling_by_band())
        ds["ndvi"] = peer.masked_ndvi(ds, case, peer.flags_definition(opt.archive, case))
        peer.save(opt.results, "odc-stac", case.name, ds)
    with tempfile.TemporaryDirectory() as scratch:
        for way in ways.ways(opt.archive, opt.shared, Path(scratch), "odc-stac", opt.cases):
            try:
                for name, ds in ways.stac_load(way).items():
                    peer.save(opt.results, "odc-stac", name, ds)
            except Exception as error:  # what odc-stac refuses is an answer too
                peer.save_error(opt.results, "odc-stac", way.name, repr(error))


if __name__ == "__main__":
    main()
