"""One warp by GDAL, for the ratio in `warp.rs`: prints the best of three in seconds.

    warp_gdal.py SCENE.npy "ROWS COLS CRS a b c d e f" "ROWS COLS CRS a b c d e f" KERNEL
"""

import sys
import time

import numpy as np
from affine import Affine
from rasterio.warp import Resampling, reproject


def grid(text):
    rows, cols, crs, *affine = text.split()
    return (int(rows), int(cols)), crs, Affine(*map(float, affine))


pixels = np.load(sys.argv[1])
_, src_crs, src_affine = grid(sys.argv[2])
shape, dst_crs, dst_affine = grid(sys.argv[3])
out = np.zeros(shape, pixels.dtype)
best = float("inf")
for _ in range(3):
    start = time.perf_counter()
    reproject(
        pixels, out, src_transform=src_affine, src_crs=src_crs, src_nodata=0, dst_transform=dst_affine, dst_crs=dst_crs,
        dst_nodata=0, resampling=Resampling[sys.argv[4]], num_threads=1,
    )
    best = min(best, time.perf_counter() - start)
print(best)
