"""What benches/median.rs compares with: numpy, bottleneck, geomad, scipy; JSON on stdout."""

import json
import sys
import time

import numpy as np
from scipy import ndimage

dates, pixels = int(sys.argv[1]), int(sys.argv[2])
rng = np.random.default_rng(1)
# A part of the pixels: rates do not depend on how many there are.
part = max(1, pixels // 16)
whole = rng.random((dates, part), dtype="float32")
gaps = np.where(rng.random((dates, part)) < 0.3, np.float32("nan"), whole)


def best(run, scale=1.0):
    times = []
    for _ in range(3):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times) * scale


out = {"versions": f"numpy {np.__version__}"}
scale = pixels / part
out["nanmedian"] = best(lambda: np.nanmedian(gaps, axis=0), scale)
out["nanmedian64"] = best(lambda: np.nanmedian(gaps.astype("float64"), axis=0), scale)
out["median"] = best(lambda: np.median(whole, axis=0), scale)
out["median16"] = best(lambda: np.median((whole * 10000).astype("uint16"), axis=0), scale)
few = gaps[:, : part // 16]
out["nanquantile"] = best(lambda: np.nanquantile(few, [0.1, 0.5, 0.9], axis=0), pixels / few.shape[1])
try:
    import bottleneck

    out["bottleneck"] = best(lambda: bottleneck.nanmedian(gaps, axis=0), scale)
    out["versions"] += f", bottleneck {bottleneck.__version__}"
except ImportError:
    pass
try:
    import geomad

    n = pixels // 64
    cube = rng.random((1, n, 6, dates), dtype="float32")

    def composite():
        gm = geomad.nangeomedian_pcm(cube, nocheck=True, eps=1e-4, maxiters=1000, num_threads=1)
        geomad.smad_pcm(cube, gm, num_threads=1)

    out["geomedian"] = best(composite)
    out["versions"] += f", geomad {geomad.__version__}"
except ImportError:
    pass

mask = rng.random((2048, 2048)) < 0.02


def cleanup():
    # scikit-image's isotropic_opening(2), isotropic_dilation(5).
    distance = ndimage.distance_transform_edt
    eroded = distance(mask) > 2
    opened = distance(~eroded) <= 2
    return distance(~opened) <= 5


out["cleanup"] = best(cleanup)
print(json.dumps(out))
