"""What the scripts of this folder share: the cases, and the form of a result.

A result is one .npz per case, FOLDER/ENGINE/CASE.npz, with
    var:NAME      one array per variable: (time, y, x), (y, x) or (time)
    coord:time    datetime64[ns], UTC
    coord:y, coord:x    pixel centres, float64
    crs           the output CRS as text
and beside it CASE.json: dimensions, dtypes and attributes as xarray has them.
"""
import argparse
import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent


class Case:
    """One load: a grid, a resampling, and what all cases have in common."""

    def __init__(self, common, entry):
        grid = common["grids"][entry["grid"]]
        self.name = f"{entry['grid']}-{entry['resampling']}"
        self.resampling = entry["resampling"]
        self.output_crs = grid["output_crs"]
        self.resolution = grid["resolution"]
        self.align = grid.get("align")
        self.product = common["product"]
        self.lon, self.lat, self.time = (common["query"][k] for k in ("lon", "lat", "time"))
        self.measurements = common["measurements"]
        self.categorical = common["categorical"]
        self.qa = common["mask"]["measurement"]
        self.flags = common["mask"]["flags"]

    def resampling_by_band(self):
        """Flags cannot be averaged: a measurement of bits is always taken by nearest."""
        return {"*": self.resampling, **{band: "nearest" for band in self.categorical}}


def cases(pattern="*"):
    """The cases of cases.json whose name matches a shell pattern."""
    common = json.loads((HERE / "cases.json").read_text())
    made = [Case(common, entry) for entry in common["cases"]]
    return [case for case in made if Path(case.name).match(pattern)]


def arguments(doc, *more):
    """The command line that the run_*.py scripts share; `more` are (flag, options) pairs."""
    p = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--archive", required=True, type=Path, help="what make_archive.py made")
    p.add_argument("--results", required=True, type=Path, help="folder for the .npz files")
    p.add_argument("--shared", type=Path, help="the folder with data/rasters, for the ways with real scenes")
    p.add_argument("--cases", default="*", metavar="PATTERN", help="only the cases whose name matches")
    for flag, options in more:
        p.add_argument(flag, **options)
    opt = p.parse_args()
    opt.archive = opt.archive.resolve()
    return opt


def masked_ndvi(ds, case, flags_definition):
    """NDVI of the pixels that the flags of the case let through, as the users' notebook has it."""
    from datacube.utils import masking

    qa = ds[case.qa]
    qa.attrs.setdefault("flags_definition", flags_definition)
    seen = ds[["red", "nir08"]].where(masking.make_mask(qa, **case.flags))
    return (seen.nir08 - seen.red) / (seen.nir08 + seen.red)


def flags_definition(archive, case):
    """The flags of the product's own definition, for engines that do not know the product."""
    import yaml

    doc = yaml.safe_load((archive / "products" / f"{case.product}.yaml").read_text())
    return next(m for m in doc["measurements"] if m["name"] == case.qa)["flags_definition"]


def save(folder, engine, name, ds):
    """Write an xarray.Dataset as a result and say what it is."""
    y, x = ("latitude", "longitude") if "latitude" in ds.dims else ("y", "x")
    along_time = {n: c for n, c in ds.coords.items() if c.dims == ("time",) and n != "time"}
    arrays = {}
    for label, var in {**ds.data_vars, **along_time}.items():
        dims = [dim for dim in ("time", y, x) if dim in var.dims]
        values = var.transpose(*dims).values
        arrays[f"var:{label}"] = values.astype(str) if values.dtype.kind in "OT" else values
    coords = {"coord:y": ds[y].values, "coord:x": ds[x].values}
    if "time" in ds.coords:
        coords["coord:time"] = np.atleast_1d(ds.time.values).astype("datetime64[ns]")
    path = folder / engine / f"{name}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, crs=np.array(crs_of(ds)), **coords, **arrays)
    path.with_suffix(".json").write_text(json.dumps(described(ds), indent=1, default=plain))
    print(f"{engine:13s} {name:24s} {dict(ds.sizes)}", flush=True)


def save_error(folder, engine, name, error):
    """Note that an engine refuses a way."""
    path = folder / engine / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".npz").unlink(missing_ok=True)
    path.write_text(json.dumps({"error": str(error)}))
    print(f"{engine:13s} {name:24s} refused: {error}", flush=True)


def crs_of(ds):
    """The CRS as EPSG code, else as WKT."""
    from odc.geo.crs import CRS

    crs = CRS(ds.spatial_ref.attrs["crs_wkt"])
    return f"EPSG:{crs.epsg}" if crs.epsg else str(crs)


def described(ds):
    """All of a dataset but its values."""
    return {
        "sizes": dict(ds.sizes), "attrs": ds.attrs,
        "variables": {name: {"dims": var.dims, "dtype": str(var.dtype), "attrs": var.attrs}
                      for name, var in ds.variables.items()}}


def plain(value):
    """A numpy value as JSON has it."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
