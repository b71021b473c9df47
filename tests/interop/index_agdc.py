#!/usr/bin/env python3
"""The Python side of crates/index/tests/agdc*.rs: datacube 1.9.22 with its
legacy driver, `postgres`.

    make URL             makes an index there as `datacube system init` does, with
                         roles, and puts scenes of three products into it
    read URL             prints what it finds in the index, as JSON
    fixture URL FILE     make, and then writes the schema with its rows to FILE
                         (crates/index/tests/fixtures/agdc.sql) with pg_dump

What it prints is compared in Rust; it fails where it cannot do its part.
"""
import json
import subprocess
import sys
import uuid
import warnings

from index_postgis import PRODUCT, scene

warnings.filterwarnings("ignore")

# The layout of documents before EO3, of which this project reads the product only.
OLD_PRODUCT = {
    "name": "old", "description": "Scenes in the layout before EO3", "metadata_type": "eo",
    "metadata": {"product_type": "old", "platform": {"code": "LANDSAT_5"}},
    "measurements": [{"name": "red", "dtype": "int16", "units": "1", "nodata": -999}],
}
OLD_SCENE = {
    "id": str(uuid.UUID(int=5)), "product_type": "old", "platform": {"code": "LANDSAT_5"},
    "instrument": {"name": "TM"}, "format": {"name": "GeoTIFF"}, "creation_dt": "2014-01-01T00:00:00",
    "extent": {
        "from_dt": "1990-03-03T23:00:00", "center_dt": "1990-03-03T23:00:12", "to_dt": "1990-03-03T23:00:24",
        "coord": {corner: {"lat": lat, "lon": lon} for corner, lat, lon in (
            ("ul", -29.0, 149.0), ("ur", -29.0, 150.0), ("ll", -30.0, 149.0), ("lr", -30.0, 150.0))},
    },
    "grid_spatial": {"projection": {
        "spatial_reference": "EPSG:4326",
        "geo_ref_points": {corner: {"x": x, "y": y} for corner, x, y in (
            ("ul", 149.0, -29.0), ("ur", 150.0, -29.0), ("ll", 149.0, -30.0), ("lr", 150.0, -30.0))},
    }},
    "image": {"bands": {"red": {"path": "red.tif"}}},
    "lineage": {"source_datasets": {}},
}


def scenes():
    first = scene(0, 32655, 300000.0, 6100000.0, "2020-01-10T00:00:00.123456Z",
                  **{"odc:region_code": "090084", "eo:cloud_cover": 13.34})
    second = scene(1, 32655, 300000.0, 6100000.0, "2020-02-10T00:00:00Z", **{
        "dtr:start_datetime": "2020-02-10T00:00:00Z", "dtr:end_datetime": "2020-02-12T00:00:00Z"})
    third = scene(2, 32760, 816000.0, 8000000.0, "2020-03-10T00:00:00Z", **{
        "odc:region_code": "fiji", "eo:cloud_cover": 0.0})
    third["lineage"] = {"ard": [first["id"], second["id"]]}
    # Python forgets the offset: for it this is ten hours later than it was.
    fourth = scene(3, 32655, 300000.0, 6100000.0, "2020-04-01T05:00:00+10:00", **{"odc:region_code": 90})
    fourth["lineage"] = {"l1": [third["id"]]}
    # As the headers of mail have it, which is no form of ISO 8601.
    fifth = scene(4, 32655, 900000.0, 6100000.0, "Wed, 15 Jan 2020 00:00:00 +0000", **{"eo:cloud_cover": "33.5"})
    return [first, second, third, fourth, fifth]


def archived():
    return scene(5, 32655, 300000.0, 6100000.0, "2020-05-01T00:00:00Z", **{"odc:region_code": "090084"})


def other():
    doc = scene(6, 32655, 300000.0, 6100000.0, "2020-01-20T00:00:00Z", **{"odc:region_code": "x"})
    doc["product"] = {"name": "other"}
    return doc


def connect(url):
    from datacube.cfg import ODCConfig
    from datacube.index import index_connect
    env = ODCConfig(raw_dict={"default": {"db_url": url, "index_driver": "postgres"}})["default"]
    return lambda validate=True: index_connect(env, validate_connection=validate)


def make(url):
    from datacube.index.hl import Doc2Dataset
    open_index = connect(url)
    assert open_index(validate=False).init_db(with_permissions=True)
    index = open_index()
    for product in (PRODUCT, {**PRODUCT, "name": "other", "metadata": {"product": {"name": "other"}}}, OLD_PRODUCT):
        index.products.add(index.products.from_doc(product))
    resolver = Doc2Dataset(index, ["shared", "other", "old"])
    for doc in [*scenes(), archived(), other(), OLD_SCENE]:
        name = doc.get("label", "old")
        dataset, error = resolver(doc, f"file:///data/{name}.json")
        assert dataset is not None, error
        index.datasets.add(dataset)
    first = scenes()[0]["id"]
    index.datasets.add_location(first, "s3://bucket/scene_0.json")
    index.datasets.add_location(first, "https://host/scene_0.json")
    index.datasets.archive_location(first, "s3://bucket/scene_0.json")
    index.datasets.archive([archived()["id"]])


def read(url):
    import datacube
    index = connect(url)()
    dc = datacube.Datacube(index=index)
    ids = lambda found: sorted(str(d.id) for d in found)
    find = lambda **q: ids(dc.find_datasets(product="shared", **q))
    search = lambda **q: ids(index.datasets.search(product="shared", **q))
    from datacube.model import Range, Not
    found = {
        "metadata_types": sorted(t.name for t in index.metadata_types.get_all()),
        "products": sorted(p.name for p in index.products.get_all()),
        "product": index.products.get_by_name("shared").definition,
        "all": find(),
        "january": find(time=("2020-01-01", "2020-01-12")),
        "during": find(time=("2020-02-11", "2020-02-11")),
        "here": find(x=(143.8, 144.0), y=(54.9, 55.1)),
        "here_in_january": find(x=(143.8, 144.0), y=(54.9, 55.1), time=("2020-01-01", "2020-01-31")),
        "east_of_fiji": find(x=(179.99, 180), y=(-19, -17)),
        "region": search(region_code="090084"),
        "regions": search(region_code=["090084", "fiji"]),
        "not_region": search(region_code=Not("090084")),
        "platform": search(platform="landsat-8"),
        "label": search(label="scene_2"),
        "little_cloud": search(cloud_cover=Range(0.0, 20.0)),
        "archived": search(archived=True),
        "either": search(archived=None),
        "at_a_uri": ids(index.datasets.get_datasets_for_location("https://host/scene_0.json", mode="exact")),
        "below_a_uri": ids(index.datasets.get_datasets_for_location("file:///data/scene_", mode="prefix")),
        "count": {product.name: n for product, n in index.datasets.count_by_product()},
        "documents": {}, "uris": {}, "indexed": {},
    }
    for id_ in found["either"]:
        dataset = index.datasets.get(id_)
        found["documents"][id_] = dataset.metadata_doc
        found["uris"][id_] = list(dataset._uris)
        found["indexed"][id_] = dataset.indexed_time.isoformat()
    with index._active_connection(transaction=True) as connection:
        found["lineage"] = sorted(
            [str(r.dataset_ref), r.classifier, str(r.source_dataset_ref)] for r in connection.get_all_lineage(100))
    json.dump(found, sys.stdout, default=str)


def fixture(url, file):
    make(url)
    from sqlalchemy import make_url
    at = make_url(url)
    dump = subprocess.run(
        ["pg_dump", "-h", at.query["host"], "-U", at.username, "-n", "agdc", "-O", "--inserts", at.database],
        check=True, capture_output=True, text=True).stdout
    # What newer or older servers do not take, and what changes with every run.
    lines = [line for line in dump.splitlines() if not line.startswith(("--", "\\restrict", "\\unrestrict"))]
    text = "\n".join(line for n, line in enumerate(lines) if line or (n and lines[n - 1]))
    header = ("-- The legacy schema with some rows, as Python's datacube 1.9.22 makes it:\n"
              "-- tests/interop/index_agdc.py fixture URL FILE, in an empty database.\n\n")
    with open(file, "w") as out:
        out.write(header + text.strip() + "\n")


def main():
    command, *rest = sys.argv[1:]
    if command == "make":
        make(rest[0])
    elif command == "read":
        read(rest[0])
    elif command == "fixture":
        fixture(*rest)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
