"""Why two engines may differ: the reasons that are known, and where each holds.

`REASONS` is what compare_all.py prints.  `of_case` is for the grids of cases.json, `WAYS`
for ways.json: (reason, ways, variables, engines beside ours, what differs), all of them
shell patterns; what differs is "grid", "form", "pixels", "missing" or "refused".
"""
from fnmatch import fnmatchcase

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
    5: "The pixels of both ODC loaders depend on the chunks: each is warped by itself, with "
       "positions of its own.  Here they do not: the way `chunks` holds ours in chunks against theirs whole.",
    6: "A mask has no nodata here.  datacube keeps that of the flags, 1, by which every true pixel would be missing.",
    7: "Which child a time step is from lies along time here, and is repeated for every pixel there; the numbers are equal.",
    8: "`to_float` gives NaN where pixels are missing; here the variable says so, there nodata is dropped.",
    9: "Numbers among properties are float64 here, as they are in the items; odc-stac rounds them to float32.",
    10: "Pixels whose centre falls within 0.03 pixels of the edge of a source or of a pixel (27 of 1,471,974, measured "
        "with PROJ): GDAL's approximate transformer is right to 0.125 pixels, and which side it falls on depends on the "
        "part of the output that is warped at once; here that is the whole output.",
    11: "The files tell no nodata, the items do.  odc-stac does not look at the items for that: it takes their fill for "
        "data, and GDAL moves it off the nodata of the output (0 becomes 1, 1 becomes 0).  The ways with tagged copies of "
        "the same files, which tell their nodata, are identical.",
    12: "One time step an item: here by time, there in the order in which items were given.  Pixels are compared by time.",
}

WAYS = [
    (5, "chunks_there_too", "*", "*", "pixels"),
    (6, "recipe_mask_alone", "qa_pixel", "datacube", "form"),
    (7, "recipe_collate", "part", "datacube", "form"),
    (8, "recipe_float", "*", "datacube", "form"),
    (9, "with_properties", "eo_*", "odc-stac", "*"),
    (10, "s2_warped", "scl", "odc-stac", "pixels"),
    (2, "s2_averaged", "*", "odc-stac", "pixels"),
    (2, "naip_averaged", "*", "odc-stac", "pixels"),
    (2, "naip_mode", "*", "odc-stac", "pixels"),
    (11, "l8_as_it_is", "*", "odc-stac", "pixels"),
    (11, "l2_as_it_is", "*", "odc-stac", "pixels"),
    (12, "l8_by_id", "*", "odc-stac", "grid"),
]


def of_case(a, b, case, name):
    """The number of the reason why two engines may differ in a case of cases.json, or None."""
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


def of_way(engine, way, name, what):
    """The same for a way of ways.json and one thing that differs."""
    for reason, ways, names, engines, part in WAYS:
        fits = fnmatchcase(way, ways) and fnmatchcase(name, names) and fnmatchcase(engine, engines)
        if fits and fnmatchcase(what, part):
            return reason
    return None
