"""What odc-stac makes of STAC items that this project wrote.

    python read_items.py ITEMS.json

Reads a list of items, validates nothing, and prints for each its id, time,
bands with file, grid, type and nodata, and its dataset id in datacube.
"""

import json
import sys
import warnings

warnings.simplefilter("ignore")
import pystac
from datacube.metadata import stac2ds
from odc.stac import parse_item

out = []
for document in json.load(open(sys.argv[1])):
    item = pystac.Item.from_dict(document)
    parsed = parse_item(item, {})
    bands = {}
    for (asset, index), band in parsed.bands.items():
        box = band.geobox
        bands[f"{asset}.{index}"] = {
            "uri": band.uri,
            "shape": list(box.shape) if box is not None else None,
            "transform": list(box.transform)[:6] if box is not None else None,
            "dtype": band.meta.data_type,
            "nodata": band.meta.nodata,
        }
    dataset = next(stac2ds([item], {}))
    out.append(
        {
            "id": item.id,
            "datetime": parsed.nominal_datetime.isoformat(),
            "bands": bands,
            "dataset": str(dataset.id),
            "epsg": dataset.crs.epsg,
        }
    )
json.dump(out, sys.stdout)
