#!/usr/bin/env python3
"""The Python side of crates/index/tests/postgis_python.rs: datacube 1.9.22 with
its postgis driver on a database that it shares with this project.

    scenes FOLDER        makes product.json, one document (*.json) and raster a
                         dataset: two in one UTM zone, one over the antimeridian
    make URL FOLDER      makes an index there as `datacube system init` does, and
                         adds what FOLDER holds as `datacube dataset add` does
    read URL             prints what it finds in the index, as JSON
    change URL FOLDER    updates the first dataset, archives the second, adds a
                         new one that it derives from the first

What it prints is compared in Rust; it fails where it cannot do its part.
"""
import json
import pathlib
import sys
import uuid
import warnings

warnings.filterwarnings("ignore")

BANDS = ("red", "nir")
NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")


def scene(n, epsg, left, top, when, **properties):
    label = f"scene_{n}"
    return {
        "$schema": "https://schemas.opendatacube.org/dataset",
        "id": str(uuid.uuid5(NAMESPACE, label)),
        "label": label,
        "product": {"name": "shared"},
        "crs": f"epsg:{epsg}",
        "grids": {"default": {"shape": [40, 30], "transform": [100.0, 0.0, left, 0.0, -100.0, top, 0.0, 0.0, 1.0]}},
        "properties": {
            "datetime": when, "eo:platform": "landsat-8", "odc:file_format": "GeoTIFF",
            "odc:processing_datetime": "2020-06-01T00:00:00Z", "odc:product_family": "test", **properties},
        "measurements": {band: {"path": f"{label}.tif", "band": i + 1} for i, band in enumerate(BANDS)},
        "accessories": {},
        "lineage": {},
    }


def scenes():
    first = scene(0, 32655, 300000.0, 6100000.0, "2020-01-10T00:00:00.123456Z",
                  **{"odc:region_code": "090084", "eo:cloud_cover": 13.34})
    second = scene(1, 32655, 300000.0, 6100000.0, "2020-02-10T00:00:00Z", **{
        "dtr:start_datetime": "2020-02-10T00:00:00Z", "dtr:end_datetime": "2020-02-12T00:00:00Z"})
    third = scene(2, 32760, 816000.0, 8000000.0, "2020-03-10T00:00:00Z", **{"odc:region_code": "fiji", "eo:cloud_cover": 0.0})
    third["lineage"] = {"ard": [first["id"], second["id"]]}
    return [first, second, third]


PRODUCT = {
    "name": "shared", "description": "Scenes that two programs share", "metadata_type": "eo3",
    "metadata": {"product": {"name": "shared"}},
    "measurements": [{"name": band, "dtype": "int16", "units": "1", "nodata": -999} for band in BANDS],
}


def write_raster(folder, doc):
    import numpy as np
    import rasterio
    from rasterio.transform import Affine
    grid = doc["grids"]["default"]
    rows, cols = grid["shape"]
    path = folder / doc["measurements"]["red"]["path"]
    with rasterio.open(path, "w", driver="GTiff", width=cols, height=rows, count=2, dtype="int16", nodata=-999,
                       crs=doc["crs"].upper(), transform=Affine(*grid["transform"][:6])) as out:
        for band in (1, 2):
            out.write((np.arange(rows * cols).reshape(rows, cols) * band % 3000).astype("int16"), band)


def connect(url):
    from datacube.cfg import ODCConfig
    from datacube.index import index_connect
    env = ODCConfig(raw_dict={"default": {"db_url": url, "index_driver": "postgis"}})["default"]
    return env, lambda validate=True: index_connect(env, validate_connection=validate)


def uri_of(folder, doc):
    return (folder / f"{doc['label']}.json").as_uri()


def add(index, folder, docs):
    from datacube.index.abstract import DatasetTuple
    from datacube.index.hl import Doc2Dataset
    resolver = Doc2Dataset(index, ["shared"])
    tuples = []
    for doc in docs:
        dataset, error = resolver(doc, uri_of(folder, doc))
        assert dataset is not None, error
        lineage = {name: [uuid.UUID(i) for i in ids] for name, ids in doc["lineage"].items()}
        tuples.append(DatasetTuple(dataset.product, dataset.metadata_doc, dataset.uri, lineage))
    out, sys.stdout = sys.stdout, sys.stderr          # bulk_add prints a dot a batch
    try:
        status = index.datasets.bulk_add(tuples)
    finally:
        sys.stdout = out
    assert status.completed == len(docs), status


def make(url, folder):
    index = connect(url)[1](validate=False)
    assert index.init_db(with_permissions=False)
    index.products.add(index.products.from_doc(PRODUCT))
    add(index, folder, scenes())


def read(url):
    import datacube
    env, open_index = connect(url)
    index = open_index()
    dc = datacube.Datacube(index=index)
    ids = lambda found: sorted(str(d.id) for d in found)
    find = lambda **q: ids(dc.find_datasets(product="shared", **q))
    product = index.products.get_by_name("shared")
    found = {
        "metadata_types": sorted(t.name for t in index.metadata_types.get_all()),
        "products": sorted(p.name for p in index.products.get_all()),
        "product": product.definition,
        "all": find(),
        "january": find(time=("2020-01-01", "2020-01-31")),
        "during": find(time=("2020-02-11", "2020-02-11")),
        "here": find(x=(143.8, 144.0), y=(54.9, 55.1)),
        "east_of_fiji": find(x=(-180, -179.99), y=(-19, -17)),
        "region": find(region_code="090084"),
        "fields": [
            {k: (str(v) if k in ("id", "uri") else v) for k, v in row._asdict().items()}
            for row in sorted(index.datasets.search_returning(
                ("id", "label", "region_code", "format", "uri"), product="shared"), key=lambda r: r.label)],
        "archived": ids(index.datasets.search(product="shared", archived=True)),
        "documents": {},
        "spatial_indexes": sorted(crs.epsg for crs in index.spatial_indexes()),
        "extent": {},
    }
    for id_ in [*found["all"], *found["archived"]]:
        dataset = index.datasets.get(id_)
        found["documents"][id_] = dataset.metadata_doc
        found["extent"][id_] = [dataset.metadata.lon.begin, dataset.metadata.lon.end,
                                dataset.metadata.lat.begin, dataset.metadata.lat.end]
    lineage = index.lineage.get_all_lineage()
    found["lineage"] = sorted([str(r.derived_id), r.classifier, str(r.source_id)] for r in lineage)
    cube = dc.load(product="shared", time=("2020-01-01", "2020-01-31"), output_crs="EPSG:32655", resolution=(-100, 100),
                   measurements=list(BANDS))
    found["loaded"] = {"sizes": dict(cube.sizes), **{band: int(cube[band].astype("int64").sum()) for band in BANDS}}
    json.dump(found, sys.stdout, default=str)


def change(url, folder):
    index = connect(url)[1]()
    first, second, _ = scenes()
    from datacube.index.hl import Doc2Dataset
    from datacube.utils import changes
    first["properties"]["eo:sun_elevation"] = 47.5
    dataset, error = Doc2Dataset(index, ["shared"], skip_lineage=True)(first, uri_of(folder, first))
    assert dataset is not None, error
    index.datasets.update(dataset, updates_allowed={("properties",): changes.allow_any})
    index.datasets.archive([second["id"]])
    new = scene(3, 32655, 303000.0, 6100000.0, "2020-01-20T00:00:00Z", **{"odc:region_code": "090085"})
    new["lineage"] = {"l1": [first["id"]]}
    write_raster(folder, new)
    add(index, folder, [new])
    json.dump({"new": new["id"], "document": new}, sys.stdout)


def main():
    command, *rest = sys.argv[1:]
    if command == "scenes":
        folder = pathlib.Path(rest[0])
        for doc in scenes():
            write_raster(folder, doc)
            (folder / f"{doc['label']}.json").write_text(json.dumps(doc))
        (folder / "product.json").write_text(json.dumps(PRODUCT))
    elif command == "make":
        make(rest[0], pathlib.Path(rest[1]))
    elif command == "read":
        read(rest[0])
    elif command == "change":
        change(rest[0], pathlib.Path(rest[1]))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
