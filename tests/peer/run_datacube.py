#!/usr/bin/env python3
"""Load every case and every way with Python's datacube.

    run_datacube.py --archive ARCHIVE --db postgresql://... --results FOLDER

The archive must have been indexed in that database with the postgis driver.
datacube's loader asks GDAL for XSCALE=YSCALE=1: our `--warp-scale unit`.
"""
import tempfile
from pathlib import Path

import peer
import ways


def main():
    opt = peer.arguments(__doc__, ("--db", dict(required=True, help="the database's URL")))
    import datacube

    # A bare postgresql:// means psycopg 3 since SQLAlchemy 2.1; datacube 1.9 needs psycopg2.
    url = opt.db.replace("postgresql:", "postgresql+psycopg2:", 1)
    dc = datacube.Datacube(raw_config={"default": {"db_url": url, "index_driver": "postgis"}})
    for case in peer.cases(opt.cases):
        align = {} if case.align is None else {"align": (case.align, case.align)}
        ds = dc.load(
            product=case.product, lon=case.lon, lat=case.lat, time=tuple(case.time), measurements=case.measurements,
            output_crs=case.output_crs, resolution=case.resolution, resampling=case.resampling_by_band(),
            group_by="solar_day", **align)
        ds["ndvi"] = peer.masked_ndvi(ds, case, None)
        peer.save(opt.results, "datacube", case.name, ds)
    with tempfile.TemporaryDirectory() as scratch:
        for way in ways.ways(opt.archive, opt.shared, Path(scratch), "datacube", opt.cases):
            try:
                for name, ds in ways.datacube_load(dc, way).items():
                    peer.save(opt.results, "datacube", name, ds)
            except Exception as error:  # what datacube refuses is an answer too
                peer.save_error(opt.results, "datacube", way.name, repr(error))


if __name__ == "__main__":
    main()
