#!/usr/bin/env python3
"""Put the results of two engines side by side, case by case and variable by variable.

    compare_all.py --results FOLDER [--pair A B]... [--cases PATTERN] [--by-day]
    compare_all.py --results FOLDER --metadata [--pair A B]

Without --pair: ours against datacube and GDAL with `--warp-scale unit`, and against
odc-stac and GDAL with `auto`; pairs without results are named and left out.

grid       "same" when shape, coordinates (to 1e-6 of a pixel) and time labels are equal
identical  share of all pixels that are equal, nodata and NaN included
within 1   share of the pixels valid in both that differ by one count at most (NDVI: 0.001)
largest    the largest difference between pixels valid in both
mask       share of pixels that are valid in both or in neither
verdict    "ok" where the rule of the case holds: nearest and flags identical; the
           others within 1 on 99.9 % and the same mask on 99.9 %.  Else "known" with the
           number of the reason listed below the table, or "DIFFERS".
The exit status is 1 if anything differs without a known reason.

With --metadata: what differs in dimensions, dtypes and attributes, for reading (of
ours-unit and datacube unless a pair is given).
"""
import argparse
import json
import sys
from pathlib import Path

import numpy as np

import peer

PAIRS = [("ours-unit", "datacube"), ("ours-unit", "gdal-unit"), ("ours-auto", "odc-stac"), ("ours-auto", "gdal-auto")]
REASONS = {
    1: "Half a pixel off the sources' grid every pixel is a tie under nearest.  Both ODC loaders and this project paste, "
       "and take the pixel up and left of it; GDAL's warper takes the one down and right.",
    2: "Coarser than the sources: both ODC loaders decimate first (datacube by GDAL's nearest read, odc-stac by "
       "choosing an overview) and resample what is left.  GDAL here, and this project for every method but nearest, "
       "start from full resolution.",
    3: "Coarser than the sources, nearest: single pixels, but of which image?  odc-stac and this project read the "
       "overview that is just finer than the output, datacube has GDAL decimate, GDAL here reads full resolution.",
    4: "NDVI is masked by the flags, which are always taken by nearest: where reason 1 or 3 holds for the flags it "
       "decides which pixels have an NDVI.",
}


def known_reason(a, b, case, name):
    """The number of the reason why two engines may differ in this case, or None."""
    grid, method = case.name.rsplit("-", 1)
    single = method == "nearest" or name == case.qa
    kinds = {engine.split("-")[0] for engine in (a, b)}   # ours, datacube, odc, gdal
    if grid == "utm54_half" and "gdal" in kinds:
        return 1 if single else 4 if name == "ndvi" else None
    if grid in ("utm54_120", "albers_100"):
        if single and kinds != {"ours", "odc"}:
            return 3
        if {"datacube", "odc"} & kinds:
            return 2
        return 4 if name == "ndvi" else None
    return None


def valid(values, name, case):
    """Where a pixel has a value."""
    return ~np.isnan(values) if values.dtype.kind == "f" else values != int(name == case.qa)


def same_grid(a, b):
    """"same", or what differs."""
    for name in ("time", "y", "x"):
        p, q = a[f"coord:{name}"], b[f"coord:{name}"]
        if p.shape != q.shape:
            return f"{len(p)} or {len(q)} {name}"
        off = np.abs(p - q).max(initial=p.dtype.type(0) if name != "time" else np.timedelta64(0, "ns"))
        if name == "time" and off:
            return f"time by {off.astype('m8[s]')}"
        if name != "time" and off > 1e-6 * abs(p[1] - p[0]):
            return f"{name} by {off:g}"
    return "same"


def differences(a, b, name, case):
    """The figures of one pair of arrays."""
    ok_a, ok_b = valid(a, name, case), valid(b, name, case)
    both = ok_a & ok_b
    step = np.abs(a[both].astype("f8") - b[both].astype("f8"))
    close = step <= (1e-3 if a.dtype.kind == "f" else 1)
    return dict(identical=100 * ((a == b) | (~ok_a & ~ok_b)).mean(), within=100 * close.mean() if step.size else 100.0,
                largest=step.max(initial=0), mask=100 * (ok_a == ok_b).mean())


def rows(results, a, b, case, by_day):
    """(variable, grid, figures, verdict) of one case."""
    A, B = (np.load(results / engine / f"{case.name}.npz") for engine in (a, b))
    grid = same_grid(A, B)
    for name in sorted(k[4:] for k in A.files if k.startswith("var:") and k in B.files):
        p, q = A[f"var:{name}"], B[f"var:{name}"]
        if p.shape != q.shape:
            yield name, grid, None, "DIFFERS"
            continue
        exact = name == case.qa or (case.resampling == "nearest" and name != "ndvi")
        fig = differences(p, q, name, case)
        fine = fig["identical"] == 100 if exact else fig["within"] >= 99.9 and fig["mask"] >= 99.9
        reason = known_reason(a, b, case, name)
        fine = fine and p.dtype == q.dtype and grid == "same"
        yield name, grid, fig, "ok" if fine else f"known {reason}" if reason and grid == "same" else "DIFFERS"
        if by_day:
            for day, x, y in zip(A["coord:time"].astype("M8[D]"), p, q):
                yield f"  {day}", "", differences(x, y, name, case), ""


def flat(value, path=""):
    """(path, value) of every leaf of a JSON document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{path}/{key}")
    else:
        yield path, value


def print_metadata(results, a, b, pattern):
    """What differs in the descriptions of two results."""
    for case in peer.cases(pattern):
        paths = [results / engine / f"{case.name}.json" for engine in (a, b)]
        if not all(path.exists() for path in paths):
            continue
        A, B = (dict(flat(json.loads(path.read_text()))) for path in paths)
        for key in sorted(A.keys() | B.keys()):
            if A.get(key) != B.get(key):
                print(f"{case.name} {key}\n    {a}: {A.get(key, '(absent)')}\n    {b}: {B.get(key, '(absent)')}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--results", required=True, type=Path)
    p.add_argument("--pair", nargs=2, action="append", metavar=("A", "B"), help="engines to compare")
    p.add_argument("--cases", default="*", metavar="PATTERN")
    p.add_argument("--by-day", action="store_true", help="a row for each time step too")
    p.add_argument("--metadata", action="store_true", help="compare attributes, not pixels")
    opt = p.parse_args()
    if opt.metadata:
        for a, b in opt.pair or PAIRS[:1]:
            print_metadata(opt.results, a, b, opt.cases)
        return
    seen, bad, used = 0, 0, set()
    for a, b in opt.pair or PAIRS:
        there = [c for c in peer.cases(opt.cases) if all((opt.results / e / f"{c.name}.npz").exists() for e in (a, b))]
        print(f"\n{a} against {b}" + ("" if there else ": no results"))
        if there:
            print(f"{'case':24s} {'variable':13s} {'grid':18s} {'identical':>10s} {'within 1':>9s} {'largest':>9s} "
                  f"{'mask':>9s}  verdict")
        for case in there:
            for name, grid, fig, verdict in rows(opt.results, a, b, case, opt.by_day):
                figures = (f"{fig['identical']:10.4f} {fig['within']:9.4f} {fig['largest']:9.4g} {fig['mask']:9.4f}"
                           if fig else " " * 40)
                print(f"{case.name:24s} {name:13s} {grid:18s} {figures}  {verdict}")
                seen, bad = seen + 1, bad + (verdict == "DIFFERS")
                used |= {int(verdict.split()[1])} if verdict.startswith("known") else set()
    print(f"\n{seen} rows, {bad} that differ without a known reason")
    for number in sorted(used):
        print(f"known {number}: {REASONS[number]}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
