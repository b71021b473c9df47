"""STAC items for the real scenes of the shared data: NAIP, Landsat and Sentinel-2.

Sentinel-2's items lie beside their files.  The others are written here in the words of
their providers, from the headers of the files: one asset with four bands, as NAIP's have;
an asset a band with `eo:bands`, as Landsat's have.
"""
import json
import shutil
from pathlib import Path

LEVEL_1 = {"blue": "B2", "green": "B3", "red": "B4", "nir08": "B5", "swir16": "B6", "pan": "B8", "qa": "BQA"}
LEVEL_2 = {"red": "SR_B4", "nir08": "SR_B5", "lwir11": "ST_B10", "emis": "ST_EMIS", "qa_pixel": "QA_PIXEL"}


def header(path):
    """(what STAC's extensions say of a file's grid, data type, nodata, corners in degrees)"""
    import rasterio
    from rasterio.warp import transform_geom

    with rasterio.open(path) as src:
        left, bottom, right, top = src.bounds
        ring = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
        footprint = transform_geom(src.crs, "EPSG:4326", {"type": "Polygon", "coordinates": [ring]})
        grid = {"proj:epsg": src.crs.to_epsg(), "proj:shape": list(src.shape), "proj:transform": list(src.transform)[:6]}
        return grid, src.dtypes[0], src.nodata, footprint


def item(name, collection, when, footprint, properties, assets):
    """An item with its box."""
    points = footprint["coordinates"][0]
    (west, east), (south, north) = ((min(p[k] for p in points), max(p[k] for p in points)) for k in (0, 1))
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": collection, "links": [],
        "stac_extensions": [f"https://stac-extensions.github.io/{name}/schema.json"
                            for name in ("projection/v1.1.0", "raster/v1.1.0", "eo/v1.1.0")],
        "geometry": footprint, "bbox": [west, south, east, north],
        "properties": {"datetime": when, **properties}, "assets": assets}


def asset(path, grid, dtype, nodata, bands):
    """An asset with its own grid; `bands` are (name, common name)."""
    told = {"data_type": dtype, **({} if nodata is None else {"nodata": nodata})}
    return {"href": f"file://{path}", "type": "image/tiff; application=geotiff", "roles": ["data"], **grid,
            "eo:bands": [{"name": name, "common_name": common} for name, common in bands],
            "raster:bands": [told] * len(bands)}


def naip(rasters, _scratch):
    """Two dates of one quarter quadrangle, four bands in a file."""
    for path in sorted((rasters / "naip_rgbn_3dates").glob("m_*.tif")):
        grid, dtype, nodata, footprint = header(path)
        day = path.stem.rsplit("_", 1)[1]
        bands = [("Red", "red"), ("Green", "green"), ("Blue", "blue"), ("NIR", "nir")]
        yield item(path.stem, "naip", f"{day[:4]}-{day[4:6]}-{day[6:]}T16:00:00Z", footprint, {"gsd": 5, **grid},
                   {"image": asset(path, grid, dtype, nodata, bands)})


def tagged(path, nodata, scratch):
    """A copy of a file whose header states its nodata."""
    import rasterio

    copy = scratch / path.name
    shutil.copyfile(path, copy)
    with rasterio.open(copy, "r+") as dst:
        dst.nodata = nodata
    return copy


def landsat(folder, bands, nodata_of, collection, scratch):
    """One item of a folder of band files; with `scratch` of copies that state their nodata."""
    path_row, day = folder.name.split("_")[2:4]
    assets, footprint = {}, None
    for common, suffix in bands.items():
        (path,) = folder.glob(f"*_{suffix}.TIF")
        if scratch and common in nodata_of:
            path = tagged(path, nodata_of[common], scratch)
        grid, dtype, nodata, corners = header(path)
        # These files tell no nodata; the product's is 0, of its flags 1.
        nodata = nodata_of.get(common) if nodata is None else nodata
        assets[common] = asset(path, grid, dtype, nodata, [(suffix, common)])
        footprint = footprint or corners
    # 24 seconds from row to row, as they are flown.
    second = 24 * int(path_row[3:]) % 60
    when = f"{day[:4]}-{day[4:6]}-{day[6:]}T15:40:{second:02d}Z"
    properties = {"platform": "landsat-8", "landsat:wrs_path": path_row[:3], "landsat:wrs_row": path_row[3:]}
    return item(folder.name, collection, when, footprint, properties, assets)


def level_1(rasters, scratch):
    """Nineteen scenes on seventeen days, each with an origin of its own."""
    for folder in sorted((rasters / "landsat8_c1_L8NY18").iterdir()):
        if folder.is_dir():
            yield landsat(folder, LEVEL_1, {"qa": 1, **dict.fromkeys(LEVEL_1.keys() - {"qa"}, 0)}, "landsat-c1l1", scratch)


def level_2(rasters, scratch):
    """One scene of surface reflectance and temperature, reduced to 60 by 60 pixels."""
    for folder in sorted((rasters / "eodatasets3_usgs_60px").glob("*_L2SP_*")):
        nodata = {"red": 0, "nir08": 0, "lwir11": 0, "qa_pixel": 1}
        yield landsat(folder, LEVEL_2, nodata, "landsat-c2l2-sr", scratch)


def sentinel_2(rasters, _scratch):
    """The items beside their files."""
    for path in sorted((rasters / "s2_l2a_33T_120m").glob("*/*.json")):
        document = json.loads(path.read_text())
        for entry in document["assets"].values():
            if "://" not in entry["href"]:
                entry["href"] = f"file://{(path.parent / entry['href']).resolve()}"
        yield document


KINDS = {"naip": naip, "landsat-level-1": level_1, "landsat-level-2": level_2, "sentinel-2": sentinel_2}


def items(kind, shared, scratch):
    """Items of a kind, as dictionaries; none where the shared data is not there.

    With "-tagged" after the kind they are of copies in `scratch` that state their nodata.
    """
    rasters = Path(shared) / "data" / "rasters" if shared else None
    plain = kind.removesuffix("-tagged")
    return list(KINDS[plain](rasters, scratch if plain != kind else None)) if rasters and rasters.is_dir() else []
