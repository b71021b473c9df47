#!/usr/bin/env python3
"""Load every case and every way with this project: index once, then one load each.

    run_ours.py --archive ARCHIVE --results FOLDER --binary datacube --warp-scale auto|unit
    run_ours.py --archive ARCHIVE --results FOLDER --binary datacube --ways examples/peer [--shared SHARED]

With --warp-scale the cases, by the `datacube` command: results are named ours-auto and
ours-unit.  With --ways the ways of ways.json, by the example `peer` (`ours.rs`): those
that datacube is asked too are named ours-load, those of odc-stac ours-stac.  The index is a SQLite file in a temporary
folder.  Each result is written as Zarr and read back with xarray, so the export is tried
too; then the masked NDVI, which the command computes itself, is loaded the same way.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import peer
import ways


class Binary:
    """The command with its index."""

    def __init__(self, path, folder):
        self.index = f"sqlite:{folder / 'index.db'}"
        self.start = [str(path), "--index", self.index]

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


def run_ways(opt, index, folder, peer_engine, engine):
    """The ways that `peer_engine` is asked too, by the example."""
    requests = []
    for way in ways.ways(opt.archive, opt.shared, folder, peer_engine, opt.cases):
        load = dict(way.load)
        request = {"name": way.name, "product": way.product, "load": load, "output": str(folder / f"{way.name}.zarr"),
                   "stac_cfg": way.entry.get("stac_cfg"), "recipe": way.entry.get("recipe")}
        if way.patch():
            load["patch"] = way.patch()
        if "tiles" in way.entry:
            request["tiles"] = {"product": way.product, **way.entry["tiles"]}
        if peer_engine == "odc-stac":
            load.pop("time", None)
            items = way.items()
            if not items:
                continue
            request["items"] = str(folder / f"{way.name}.json")
            Path(request["items"]).write_text(json.dumps(items))
        requests.append(request)
    document = folder / "requests.json"
    document.write_text(json.dumps({"index": index, "requests": requests}))
    with subprocess.Popen([opt.ways.resolve(), document], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            save_way(opt.results, engine, json.loads(line))
    if process.returncode:
        sys.exit(f"{opt.ways} failed")


def save_way(results, engine, answer):
    """One answer of the example: stores that were written, or an error."""
    import xarray as xr

    if "error" in answer:
        peer.save_error(results, engine, answer["name"], answer["error"])
    for path in map(Path, answer.get("written", [])):
        tile = path.name.partition("@")[2]
        name = answer["name"] + (f"@{tile}" if tile else "")
        peer.save(results, engine, name, xr.open_zarr(path, mask_and_scale=False).load())


def main():
    opt = peer.arguments(__doc__, ("--binary", dict(required=True, type=Path, help="the datacube command")),
                         ("--warp-scale", dict(choices=["auto", "unit"], help="load the cases")),
                         ("--ways", dict(type=Path, metavar="PROGRAM", help="load the ways, with the example `peer`")))
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        command = Binary(opt.binary.resolve(), folder)
        command("system", "init")
        command("product", "add", *sorted((opt.archive / "products").glob("*.yaml")))
        command("dataset", "add", *sorted(opt.archive.rglob("odc-metadata.yaml")))
        for case in peer.cases(opt.cases) if opt.warp_scale else []:
            name = f"ours-{opt.warp_scale}"
            peer.save(opt.results, name, case.name, one_case(command, case, opt.warp_scale, folder))
        if opt.ways:
            run_ways(opt, command.index, folder, "datacube", "ours-load")
            run_ways(opt, command.index, folder, "odc-stac", "ours-stac")


if __name__ == "__main__":
    main()
