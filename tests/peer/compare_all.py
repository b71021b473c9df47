#!/usr/bin/env python3
"""Put the results of two engines side by side, case by case and variable by variable.

    compare_all.py --results FOLDER [--pair A B]... [--cases PATTERN] [--by-day] [--differing]
    compare_all.py --results FOLDER --metadata [--pair A B]

Without --pair: for the cases ours against datacube and GDAL with `--warp-scale unit`, and
against odc-stac and GDAL with `auto`; for the ways ours against datacube and odc-stac.
Pairs without results are named and left out.

grid       "same" when shape, coordinates (to 1e-6 of a pixel), time labels and CRS are equal;
           "order" when only the order of the time steps differs, and pixels are compared in one
form       "same" when dimensions, dtype and nodata are equal
identical  share of all pixels that are equal, nodata and NaN included
within 1   share of the pixels valid in both that differ by one count at most (floats: 0.001)
largest    the largest difference between pixels valid in both
mask       share of pixels that are valid in both or in neither
verdict    "identical" where all of that is equal; "ok" where the rule holds: pixels that are
           taken and not computed are identical, the others within 1 on 99.9 % with the same
           mask on 99.9 %, grid and form the same.  Else "known" with the number of the reason
           listed below the table, or "DIFFERS".
The exit status is 1 if anything differs without a known reason.

With --metadata: what differs in dimensions, dtypes and attributes, for reading (of
ours-unit and datacube unless a pair is given).
"""
import argparse
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np

import peer
import reasons

PAIRS = [("ours-unit", "datacube"), ("ours-unit", "gdal-unit"), ("ours-auto", "odc-stac"), ("ours-auto", "gdal-auto"),
         ("ours-load", "datacube"), ("ours-stac", "odc-stac")]
WAYS = ("ours-load", "ours-stac")
TAKEN = {"nearest", "mode", "max", "min", "med", "q1", "q3"}


class CaseRules:
    """What a case of cases.json promises."""

    def __init__(self, case):
        self.name, self.case = case.name, case

    def exact(self, name):
        return name == self.case.qa or (self.case.resampling == "nearest" and name != "ndvi")

    def by_hand(self, engine, name):
        """Whether the script of an engine made a variable, so that nobody described it."""
        return engine.startswith("gdal") or name == "ndvi"

    def reason(self, a, b, name, what):
        return reasons.of_case(a, b, self.case, name) if what == "pixels" else None


class WayRules:
    """What a way of ways.json promises: pixels of kernels that take one pixel are exact."""

    def __init__(self, name, entry):
        self.name, self.load = name, entry.get("load", {})
        self.computed = "recipe" in entry or self.load.get("scaled", False)

    def exact(self, name):
        resampling = self.load.get("resampling", "nearest")
        if isinstance(resampling, dict):
            resampling = resampling.get(name, resampling.get("*", "nearest"))
        return resampling in TAKEN and not self.computed

    def by_hand(self, engine, name):
        return False

    def reason(self, a, b, name, what):
        return reasons.of_way(b, self.name.removeprefix("way:"), name, what)


def rules(results, a, b, pattern):
    """The rules of everything that two engines could both have loaded, in order."""
    if a not in WAYS:
        return [CaseRules(case) for case in peer.cases(pattern)]
    made = []
    document = json.loads((peer.HERE / "ways.json").read_text())
    for entry in document["ways"]:
        names = {path.stem for engine in (a, b) for end in ("", "@*")
                 for path in (results / engine).glob(f"way:{entry['name']}{end}.json")}
        made += [WayRules(name, entry) for name in sorted(names) if b in entry["peers"]]
    return [rule for rule in made if Path(rule.name).match(pattern)]


def same_grid(a, b):
    """"same", or what differs."""
    for name in ("time", "y", "x"):
        p, q = a.get(f"coord:{name}"), b.get(f"coord:{name}")
        if p is None or q is None:
            if p is not q:
                return f"no {name} in one"
            continue
        if p.shape != q.shape:
            return f"{len(p)} or {len(q)} {name}"
        off = np.abs(p - q).max(initial=p.dtype.type(0) if name != "time" else np.timedelta64(0, "ns"))
        if name == "time" and off:
            return f"time by {off.astype('m8[s]')}"
        if name != "time" and len(p) > 1 and off > 1e-6 * abs(p[1] - p[0]):
            return f"{name} by {off:g}"
    from odc.geo.crs import CRS

    crs = [str(found["crs"]) for found in (a, b)]
    return "same" if crs[0] == crs[1] or CRS(crs[0]) == CRS(crs[1]) else "crs"


def by_time(result):
    """The same result, its time steps in the order of their labels."""
    order = np.argsort(result["coord:time"], kind="stable")
    along_time = {key for key, value in result.items() if key == "coord:time" or key.startswith("var:")}
    return {key: value[order] if key in along_time else value for key, value in result.items()}


def number(value):
    """A nodata as it is compared."""
    return None if value is None else "nan" if str(value).lower() == "nan" else float(value)


def told(described, name):
    """(dims, nodata) of a variable as its engine describes it."""
    variable = described["variables"][name]
    attrs = variable["attrs"]
    return variable["dims"], number(attrs.get("nodata", attrs.get("_FillValue")))


def same_form(p, q, name, a, b):
    """"same", or what differs in the description of a variable."""
    (dims_a, nodata_a), (dims_b, nodata_b) = told(a, name), told(b, name)
    if dims_a != dims_b:
        return f"dims {','.join(dims_a)} or {','.join(dims_b)}"
    if p.dtype.kind != q.dtype.kind or (p.dtype != q.dtype and p.dtype.kind not in "US"):
        return f"dtype {p.dtype} or {q.dtype}"
    return "same" if nodata_a == nodata_b else f"nodata {nodata_a} or {nodata_b}"


def valid(values, nodata):
    """Where a pixel has a value."""
    if values.dtype.kind == "f":
        seen = ~np.isnan(values)
        return seen if nodata in (None, "nan") else seen & (values != nodata)
    return np.ones(values.shape, bool) if nodata in (None, "nan") or values.dtype.kind in "USb" else values != nodata


def differences(p, q, nodata_p, nodata_q):
    """The figures of one pair of arrays."""
    ok_p, ok_q = valid(p, nodata_p), valid(q, nodata_q)
    both = ok_p & ok_q
    if p.dtype.kind in "US":
        step = (p[both] != q[both]).astype("f8")
    else:
        step = np.abs(p[both].astype("f8") - q[both].astype("f8"))
    close = step <= (1e-3 if p.dtype.kind == "f" and np.abs(q[both], dtype="f8").max(initial=0) < 100 else 1)
    return dict(identical=100 * ((p == q) | (~ok_p & ~ok_q)).mean(), within=100 * close.mean() if step.size else 100.0,
                largest=step.max(initial=0), mask=100 * (ok_p == ok_q).mean())


def verdict(rule, a, b, name, grid, form, figures):
    """The last column."""
    what = [part for part, value in (("grid", grid), ("form", form)) if value != "same"]
    if figures is not None:
        good = figures["within"] >= 99.9 and figures["mask"] >= 99.9
        if figures["identical"] < 100 and (rule.exact(name) or not good):
            what.append("pixels")
    elif "grid" not in what:
        what.append("pixels")
    if not what:
        return "identical" if figures["identical"] == 100 else "ok"
    why = [rule.reason(a, b, name, part) for part in what]
    return "known " + ",".join(map(str, sorted(set(why)))) if all(why) else "DIFFERS"


def rows(results, a, b, rule, by_day):
    """(variable, grid, form, figures, verdict) of one case."""
    paths = [results / engine / f"{rule.name}.json" for engine in (a, b)]
    there = [path.exists() for path in paths]
    if not all(there):
        yield "", f"not in {b if there[0] else a}", "", None, "DIFFERS"
        return
    described = [json.loads(path.read_text()) for path in paths]
    errors = [document.get("error") for document in described]
    if any(errors):
        text = " and ".join(f"{engine}: {error}" for engine, error in zip((a, b), errors) if error)
        why = "both" if all(errors) else rule.reason(a, b, "*", "refused")
        yield "", text[:60], "", None, "identical" if why == "both" else f"known {why}" if why else "DIFFERS"
        return
    A, B = (dict(np.load(results / engine / f"{rule.name}.npz")) for engine in (a, b))
    grid = same_grid(A, B)
    if grid.startswith("time by"):
        in_order = by_time(B)
        if same_grid(A, in_order) == "same":
            grid, B = "order", in_order
    for key in sorted(k for k in A.keys() | B.keys() if k.startswith("var:")):
        name = key[4:]
        if key not in A or key not in B:
            why = rule.reason(a, b, name, "missing")
            yield name, grid, f"only {a if key in A else b}", None, f"known {why}" if why else "DIFFERS"
            continue
        p, q = A[key], B[key]
        nodata = [told(document, name)[1] for document in described]
        if rule.by_hand(b, name):
            form, nodata = "same" if p.dtype == q.dtype else f"dtype {p.dtype} or {q.dtype}", [nodata[0]] * 2
        else:
            form = same_form(p, q, name, *described)
        if p.ndim < q.ndim and p.shape == q.shape[:1]:
            # Along time alone: the same for every pixel.
            p = np.broadcast_to(p[:, None, None], q.shape)
        figures = differences(p, q, *nodata) if p.shape == q.shape else None
        yield name, grid, form, figures, verdict(rule, a, b, name, grid, form, figures)
        if by_day and figures and "coord:time" in A:
            for day, x, y in zip(A["coord:time"].astype("M8[D]"), p, q):
                yield f"  {day}", "", "", differences(x, y, *nodata), ""


def flat(value, path=""):
    """(path, value) of every leaf of a JSON document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{path}/{key}")
    else:
        yield path, value


def print_metadata(results, a, b, pattern):
    """What differs in the descriptions of two results."""
    for rule in rules(results, a, b, pattern):
        paths = [results / engine / f"{rule.name}.json" for engine in (a, b)]
        if not all(path.exists() for path in paths):
            continue
        A, B = (dict(flat(json.loads(path.read_text()))) for path in paths)
        for key in sorted(A.keys() | B.keys()):
            if A.get(key) != B.get(key):
                print(f"{rule.name} {key}\n    {a}: {A.get(key, '(absent)')}\n    {b}: {B.get(key, '(absent)')}")


def print_pair(opt, a, b, counts, used):
    """The table of one pair."""
    wanted = rules(opt.results, a, b, opt.cases)
    if not all((opt.results / engine).is_dir() for engine in (a, b)):
        print(f"\n{a} against {b}: no results")
        return
    print(f"\n{a} against {b}\n{'case':27s} {'variable':14s} {'grid':8s} {'form':24s} {'identical':>10s} "
          f"{'within 1':>9s} {'largest':>9s} {'mask':>9s}  verdict")
    for rule in wanted:
        for name, grid, form, fig, end in rows(opt.results, a, b, rule, opt.by_day):
            if end:
                counts[end.split()[0]] += 1
            if end.startswith("known"):
                used.update(map(int, end.split()[1].split(",")))
            if opt.differing and end in ("identical", "ok"):
                continue
            figures = (f"{fig['identical']:10.4f} {fig['within']:9.4f} {fig['largest']:9.4g} {fig['mask']:9.4f}"
                       if fig else " " * 40)
            print(f"{rule.name:27s} {name:14s} {grid:8s} {form:24s} {figures}  {end}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--results", required=True, type=Path)
    p.add_argument("--pair", nargs=2, action="append", metavar=("A", "B"), help="engines to compare")
    p.add_argument("--cases", default="*", metavar="PATTERN")
    p.add_argument("--by-day", action="store_true", help="a row for each time step too")
    p.add_argument("--differing", action="store_true", help="print only rows that are neither identical nor ok")
    p.add_argument("--metadata", action="store_true", help="compare attributes, not pixels")
    opt = p.parse_args()
    if opt.metadata:
        for a, b in opt.pair or PAIRS[:1]:
            print_metadata(opt.results, a, b, opt.cases)
        return
    counts, used = Counter(), set()
    for a, b in opt.pair or PAIRS:
        print_pair(opt, a, b, counts, used)
    print(f"\n{counts.total()} rows: " + ", ".join(f"{n} {what}" for what, n in counts.most_common()))
    for number in sorted(used):
        print(f"known {number}: {reasons.REASONS[number]}")
    sys.exit(1 if counts["DIFFERS"] else 0)


if __name__ == "__main__":
    main()
