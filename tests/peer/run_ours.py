#!/usr/bin/env python3
"""Load every case with this project's `datacube` command: index once, then one load per case.

    run_ours.py --archive ARCHIVE --results FOLDER --binary datacube --warp-scale auto|unit

Results are named ours-auto and ours-unit.  The index is a SQLite file in a temporary
folder.  Each case is written as Zarr and read back with xarray, so the export is tried
too; then the masked NDVI, which the command computes itself, is loaded the same way.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import peer


class Binary:
    """The command with its index."""

    def __init__(self, path, folder):
        self.start = [str(path), "--index", f"sqlite:{folder / 'index.db'}"]

    def __call__(self, *words):
        done = subprocess.run([*self.start, *map(str, words)], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(map(str, [*self.start, *words]))}\n{done.stdout}{done.stderr}")


def load(command, case, warp_scale, output, *more):
    """Run one load and open what it wrote."""
    import xarray as xr

    words = ["load", case.product, "--lon", *case.lon, "--lat", *case.lat, "--time", *case.time,
             "--output-crs", case.output_crs, "--resolution", case.resolution, "--group-by", "solar_day",
             "--warp-scale", warp_scale]
    if case.align is not None:
        words += ["--align", case.align, case.align]
    for band, method in case.resampling_by_band().items():
        words += ["--resampling", f"{band}={method}"]
    command(*words, *more, "--output", output)
    # The pixels as they lie: not scaled, and not turned into NaN.
    return xr.open_zarr(output, mask_and_scale=False).load()


def one_case(command, case, warp_scale, folder):
    """The measurements of a case and its masked NDVI in one xarray.Dataset."""
    bands = ",".join(case.measurements)
    flags = ", ".join(f"{flag}={str(value).lower() if isinstance(value, bool) else value}"
                      for flag, value in case.flags.items())
    ds = load(command, case, warp_scale, folder / f"{case.name}.zarr", "--measurements", bands)
    ndvi = load(command, case, warp_scale, folder / f"{case.name}-ndvi.zarr", "--measurements", bands,
                "--mask", f"{case.qa}: {flags}", "--expr", "ndvi=(nir08-red)/(nir08+red)")
    ds = ds[case.measurements]
    ds["ndvi"] = ndvi["ndvi"]
    return ds


def main():
    opt = peer.arguments(__doc__, ("--binary", dict(required=True, type=Path, help="the datacube command")),
                         ("--warp-scale", dict(choices=["auto", "unit"], default="auto")))
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        command = Binary(opt.binary.resolve(), folder)
        command("system", "init")
        command("product", "add", *sorted((opt.archive / "products").glob("*.yaml")))
        command("dataset", "add", *sorted(opt.archive.rglob("odc-metadata.yaml")))
        for case in peer.cases(opt.cases):
            peer.save(opt.results, f"ours-{opt.warp_scale}", case, one_case(command, case, opt.warp_scale, folder))


if __name__ == "__main__":
    main()
