"""GDAL's COG driver by rasterio: RAW OUT SIDE ROUNDS; prints the best rate."""

import sys
import time
from pathlib import Path

import numpy as np
import rasterio
from rasterio.io import MemoryFile
from rasterio.shutil import copy
from rasterio.transform import from_origin

raw, out, side, rounds = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
pixels = np.fromfile(raw, "uint16").reshape(side, side)
profile = dict(driver="GTiff", width=side, height=side, count=1, dtype="uint16", nodata=0, crs="EPSG:32755",
               transform=from_origin(600_000, -4_100_000, 30, 30))
best = float("inf")
# The COG driver copies a dataset; one in memory is as near as it comes to pixels.
with MemoryFile() as memory:
    with memory.open(**profile) as dataset:
        dataset.write(pixels, 1)
    with memory.open() as dataset:
        for _ in range(rounds):
            begin = time.perf_counter()
            copy(dataset, out, driver="COG", COMPRESS="DEFLATE", LEVEL="6", PREDICTOR="YES", BLOCKSIZE="512",
                 OVERVIEW_RESAMPLING="AVERAGE", NUM_THREADS="ALL_CPUS")
            best = min(best, time.perf_counter() - begin)
            size = out.stat().st_size
            out.unlink()
print(f"    GDAL {rasterio.__gdal_version__}: {side * side / 1e6 / best:.0f} Mpixel/s, {size} bytes")
