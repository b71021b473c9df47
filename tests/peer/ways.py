"""The requests of ways.json, in the words of each peer.

`datacube_load` and `stac_load` give {name: xarray.Dataset}: one entry, or one a tile.
"""
import copy
import json
import shutil
from pathlib import Path

import numpy as np

import peer
import scenes

# The file that the ways with "broken" meet, and what is put in its place.
BROKEN = "093/087/2020/02/03/LC08_L2SP_093087_20200203_20200203_02_T1/LC08_L2SP_093087_20200203_20200203_02_T1_SR_B4.TIF"


class Way:
    """One request: `load` holds the options, the rest says of what and with whom.

    `peer` holds what a peer is asked otherwise; null leaves an option out.
    """

    def __init__(self, common, entry, archive, shared, scratch):
        self.name = f"way:{entry['name']}"
        self.entry = entry
        self.product = common["product"]
        self.archive, self.shared, self.scratch = archive, shared, scratch
        of_archive = entry.get("items") is None
        load = {**(common["defaults"] if of_archive else {"group_by": "solar_day"}), **entry.get("load", {})}
        if "like" in entry:
            load.update(dict.fromkeys(("lon", "lat", "output_crs", "resolution", "align")), like=common["grids"][entry["like"]])
        for name in ("geopolygon", "intersects"):
            if name in load:
                load[name] = common["polygons"][load[name]]
        self.load = {name: value for name, value in load.items() if value is not None}
        asked = {**self.load, **entry.get("peer", {})}
        self.peer_load = {name: value for name, value in asked.items() if value is not None}

    def patch(self):
        """None, or the part of an address and the path that takes its place."""
        how = self.entry.get("broken")
        if how is None:
            return None
        path = self.scratch / f"{how}.tif"
        (whole,) = self.archive.glob(f"*/{BROKEN}")
        if how == "garbage":
            path.write_bytes(b"this is no raster")
        elif how == "truncated":
            path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
        elif how == "copy":
            shutil.copyfile(whole, path)
        return {"contains": BROKEN, "path": f"file://{path}"}

    def patch_url(self):
        """The same as a function."""
        patch = self.patch()
        return patch and (lambda uri: patch["path"] if patch["contains"] in uri else uri)

    def items(self):
        """STAC items, as dictionaries with absolute addresses."""
        kind = self.entry.get("items")
        found = scenes.items(kind, self.shared, self.scratch) if kind else list(self.of_archive())
        for document in found:
            for asset in document["assets"].values():
                for name in self.entry.get("without", []):
                    asset.pop(name, None)
        return found[::-1] if self.entry.get("reversed") else found

    def of_archive(self):
        first, last = self.load["time"]
        for document in json.loads((self.archive / "stac" / "items.json").read_text())["features"]:
            if first <= document["properties"]["datetime"][:10] <= last:
                for asset in document["assets"].values():
                    asset["href"] = f"file://{self.archive}/{asset['href']}"
                yield document


def ways(archive, shared, scratch, engine, pattern="*"):
    """The ways in which `engine` (datacube, odc-stac) can be asked."""
    common = json.loads((peer.HERE / "ways.json").read_text())
    made = [Way(common, entry, archive, shared, scratch) for entry in common["ways"] if engine in entry["peers"]]
    return [way for way in made if Path(way.name).match(pattern)]


# Fuse functions, as users write them: in place, and told the nodata by their author.
def last_valid_0(dst, src):
    np.copyto(dst, src, where=src != 0)


def last_valid_1(dst, src):
    np.copyto(dst, src, where=src != 1)


def largest(dst, src):
    np.maximum(dst, src, out=dst)


def smallest_valid(dst, src):
    np.copyto(dst, src, where=(src != 0) & ((dst == 0) | (src < dst)))


def fusers(named, as_text):
    """The functions that our names stand for."""
    def one(band, name):
        function = {"last_valid": last_valid_1 if band == "qa_pixel" else last_valid_0, "max": largest,
                    "min": smallest_valid, "ga_pq_fuser": "datacube.helpers.ga_pq_fuser"}[name]
        return f"{__name__}.{function.__name__}" if as_text and callable(function) else function

    return {band: one(band, name) for band, name in named.items()} if isinstance(named, dict) else one("*", named)


def geobox(grid):
    from affine import Affine
    from odc.geo.geobox import GeoBox

    return GeoBox(grid["shape"], Affine(*grid["transform"]), grid["crs"])


def resolution(value):
    from odc.geo import resxy_

    return resxy_(*value) if isinstance(value, list) else value


def polygon(value):
    from odc.geo.geom import Geometry

    return Geometry(value["geometry"], value["crs"])


def month_of(dataset):
    return dataset.center_time.strftime("%Y-%m")


def scaled(ds, product):
    """Scale and offset by hand: floats, NaN where pixels are missing."""
    def one(var):
        said = product.measurements[var.name]
        values = var.astype("f8").where(var != said["nodata"])
        return (values * said["scale_factor"] + said["add_offset"]).astype("f4").assign_attrs(nodata=np.nan)

    return ds.assign({name: one(var) for name, var in ds.data_vars.items()})


def datacube_options(way):
    """The options of a way as `Datacube.load` takes them."""
    from datacube.api.query import GroupBy

    options = copy.deepcopy(way.peer_load)
    for name in ("with_properties", "scaled"):
        options.pop(name, None)
    for name, change in {
        "time": lambda t: tuple(t) if isinstance(t, list) else t,
        "align": lambda xy: xy[::-1], "resolution": resolution, "like": geobox, "geopolygon": polygon,
    }.items():
        if name in options:
            options[name] = change(options[name])
    options.update(options.pop("fields", {}))
    if "chunks" in options:
        options["dask_chunks"] = options.pop("chunks")
    if "fuse" in options:
        options["fuse_func"] = fusers(options.pop("fuse"), as_text=False)
    if isinstance(options.get("group_by"), dict):
        options["group_by"] = GroupBy(month_of, "time", "seconds since 1970-01-01 00:00:00",
                                      sort_key=lambda ds: ds.center_time, group_key=lambda group: group[0].center_time)
    if way.patch_url():
        options["patch_url"] = way.patch_url()
    return options


def datacube_load(dc, way):
    """What Python's datacube makes of a way."""
    options = datacube_options(way)
    if "recipe" in way.entry:
        from datacube.virtual import construct

        return {way.name: construct(**way.entry["recipe"]).load(dc, **options)}
    if "tiles" in way.entry:
        return dict(datacube_tiles(dc, way, options))
    ds = dc.load(product=way.product, **options)
    if way.load.get("scaled"):
        ds = scaled(ds, dc.index.products.get_by_name(way.product))
    return {way.name: ds.compute()}


def datacube_tiles(dc, way, options):
    """(name, cube) of each tile."""
    from datacube.api.grid_workflow import GridWorkflow
    from odc.geo import resxy_, xy_, yx_
    from odc.geo.gridspec import GridSpec

    grid = way.entry["tiles"]
    (width, height), step = grid["tile_size"], grid["resolution"]
    spec = GridSpec(grid["crs"], yx_(int(height / abs(step[1])), int(width / abs(step[0]))), resxy_(*step), xy_(*grid["origin"]))
    work = GridWorkflow(dc.index, grid_spec=spec)
    resampling = options.pop("resampling", None)
    measurements = options.pop("measurements")
    for (x, y), tile in work.list_cells(product=way.product, **options).items():
        yield f"{way.name}@{x},{y}", work.load(tile, measurements=measurements, resampling=resampling)


def stac_options(way):
    """The options of a way as `odc.stac.load` takes them."""
    from odc.geo import xy_

    options = copy.deepcopy(way.peer_load)
    options.pop("time", None)
    # There x and y are always in the output's CRS.
    options.pop("crs", None)
    step = options.get("resolution")
    if "align" in options:
        sides = step if isinstance(step, list) else [step, step]
        options["anchor"] = xy_(*(a / abs(r) for a, r in zip(options.pop("align"), sides)))
    elif isinstance(options.get("anchor"), list):
        options["anchor"] = xy_(*options["anchor"])
    for name, ours, change in [
        ("bands", "measurements", list), ("crs", "output_crs", str), ("groupby", "group_by", group_function),
        ("resolution", "resolution", resolution), ("geobox", "like", geobox), ("geopolygon", "geopolygon", polygon),
        ("intersects", "intersects", lambda value: value["geometry"]),
        ("fail_on_error", "skip_broken_datasets", lambda skip: not skip),
        ("fuse_func", "fuse", lambda named: fusers(named, as_text=True)),
    ]:
        if ours in options:
            options[name] = change(options.pop(ours))
    if way.patch_url():
        options["patch_url"] = way.patch_url()
    if "stac_cfg" in way.entry:
        options["stac_cfg"] = way.entry["stac_cfg"]
    return options


def group_function(group_by):
    """odc-stac's functions are asked (item, parsed item, index)."""
    if isinstance(group_by, dict):
        return lambda item, _parsed, _index: item.datetime.strftime("%Y-%m")
    return group_by


def stac_load(way):
    """What odc-stac makes of a way; nothing where its items are not there."""
    import odc.stac
    import pystac

    items = [pystac.Item.from_dict(document) for document in way.items()]
    return {way.name: odc.stac.load(items, **stac_options(way)).compute()} if items else {}
