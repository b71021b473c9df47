"""What Python's virtual products give: FOLDER with an archive, RECIPES (JSON), OUT.

RECIPES is {name: {"recipe": ..., "load": options of `load`}}. The archive goes into an
index in memory. Each variable of each result is written to OUT as `name.variable.npy`
(float64), and {name: {"time": [ns...], "shape": [...], "transform": [...]}} printed.

Made for datacube 1.9.22. Where scikit-image is missing, its two functions of binary
morphology are taken from scipy, on which they stand: `mode="ignore"` there are these
border values.
"""

import json
import sys
import types
import warnings
from pathlib import Path

import numpy as np

warnings.filterwarnings("ignore")


def with_morphology():
    try:
        import skimage.morphology  # noqa: F401
        return
    except ImportError:
        pass
    from scipy import ndimage

    def disk(radius):
        y, x = np.mgrid[-radius:radius + 1, -radius:radius + 1]
        return (x * x + y * y <= radius * radius).astype("uint8")

    module = types.ModuleType("skimage.morphology")
    module.disk = disk
    module.binary_erosion = lambda image, footprint: ndimage.binary_erosion(image, footprint, border_value=1)
    module.binary_dilation = lambda image, footprint: ndimage.binary_dilation(image, footprint, border_value=0)
    sys.modules["skimage"] = types.ModuleType("skimage")
    sys.modules["skimage.morphology"] = module


def open_archive(folder):
    from datacube import Datacube
    from datacube.cfg import ODCConfig
    from datacube.index.hl import Doc2Dataset

    dc = Datacube(config=ODCConfig(raw_dict={"default": {"index_driver": "memory"}}))
    dc.index.products.add_document(json.loads((folder / "product.json").read_text()))
    resolve = Doc2Dataset(dc.index, verify_lineage=False, skip_lineage=True)
    for path in sorted(folder.glob("*/*.odc-metadata.json")):
        dataset, error = resolve(json.loads(path.read_text()), path.as_uri())
        assert error is None, error
        dc.index.datasets.add(dataset, with_lineage=False)
    return dc


def main(folder, recipes, out):
    with_morphology()
    from datacube.virtual import construct

    dc = open_archive(folder)
    report = {}
    for name, entry in recipes.items():
        options = dict(entry["load"])
        if "time" in options:
            options["time"] = tuple(options["time"])
        cube = construct(**entry["recipe"]).load(dc, **options)
        for variable, array in cube.data_vars.items():
            values = array.transpose("time", ...).values.astype("float64")
            np.save(out / f"{name}.{variable}.npy", np.ascontiguousarray(values))
        report[name] = {
            "time": cube.time.values.astype("datetime64[ns]").astype("int64").tolist(),
            "variables": {name: str(array.dtype) for name, array in cube.data_vars.items()},
        }
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()), Path(sys.argv[3]))
