//! The sizes of an image and its overviews, and how each is cut into blocks.
//!
//! Sizes follow GDAL's COG driver: level `k` has `floor(size / 2^k)` rows and
//! columns (at least 1), and levels are added until both fit into one block.
//! Every level covers exactly the extent of the image, so the ratio between
//! two neighbouring levels is a little more than 2 where a size was odd.

use std::ops::Range;

use datacube_geo::{PixelWindow, Shape2d};

/// One resolution of the image; 0 is the image itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) rows: usize,
    pub(super) cols: usize,
    /// Rows and columns of a block.
    pub(super) block: usize,
}

impl Level {
    pub(super) fn blocks_down(&self) -> usize {
        self.rows.div_ceil(self.block)
    }

    pub(super) fn blocks_across(&self) -> usize {
        self.cols.div_ceil(self.block)
    }

    /// Blocks of one band.
    pub(super) fn n_blocks(&self) -> usize {
        self.blocks_down() * self.blocks_across()
    }

    /// The pixels that block `index` (row-major) holds, without its padding.
    pub(super) fn block_window(&self, index: usize) -> PixelWindow {
        let (down, across) = (index / self.blocks_across(), index % self.blocks_across());
        let clip = |at: usize, size: usize| at * self.block..((at + 1) * self.block).min(size);
        PixelWindow {
            rows: clip(down, self.rows),
            cols: clip(across, self.cols),
        }
    }

    /// The blocks that a window touches.
    pub(super) fn blocks_touching(&self, window: &PixelWindow) -> Vec<usize> {
        let range = |r: &Range<usize>| r.start / self.block..r.end.div_ceil(self.block);
        let across = self.blocks_across();
        range(&window.rows)
            .flat_map(|down| range(&window.cols).map(move |col| down * across + col))
            .collect()
    }
}

/// The image and its overviews, finest first; `n_overviews` caps their number.
pub(super) fn levels(shape: Shape2d, block: usize, n_overviews: Option<usize>) -> Vec<Level> {
    let mut levels = vec![Level {
        rows: shape.rows,
        cols: shape.cols,
        block,
    }];
    let limit = n_overviews.unwrap_or(usize::MAX);
    while let Some(last) = levels.last() {
        let fits = last.rows <= block && last.cols <= block;
        if fits || levels.len() > limit {
            break;
        }
        let shift = levels.len();
        levels.push(Level {
            rows: (shape.rows >> shift).max(1),
            cols: (shape.cols >> shift).max(1),
            block,
        });
    }
    levels
}

/// The overview factors that `levels` stands for: 2, 4, 8, ...
pub(super) fn factors(levels: &[Level]) -> Vec<u64> {
    (1..levels.len()).map(|k| 1u64 << k).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(rows: usize, cols: usize) -> Vec<(usize, usize)> {
        levels(Shape2d { rows, cols }, 512, None)
            .iter()
            .map(|l| (l.rows, l.cols))
            .collect()
    }

    #[test]
    fn levels_are_those_of_gdal() {
        // rasterio 1.5.2 (GDAL 3.12.2), driver COG.
        assert_eq!(sizes(1201, 1201), [(1201, 1201), (600, 600), (300, 300)]);
        assert_eq!(sizes(1025, 1025), [(1025, 1025), (512, 512)]);
        assert_eq!(sizes(512, 512), [(512, 512)]);
        assert_eq!(sizes(1, 1500), [(1, 1500), (1, 750), (1, 375)]);
    }

    #[test]
    fn blocks_cover_the_image_once() {
        let level = levels(
            Shape2d {
                rows: 1025,
                cols: 700,
            },
            512,
            None,
        )[0];
        let mut seen = vec![0u8; 1025 * 700];
        for index in 0..level.n_blocks() {
            let window = level.block_window(index);
            for row in window.rows.clone() {
                for col in window.cols.clone() {
                    seen[row * 700 + col] += 1;
                }
            }
        }
        assert!(seen.iter().all(|&n| n == 1));
        let touched = level.blocks_touching(&PixelWindow {
            rows: 500..513,
            cols: 600..601,
        });
        assert_eq!(touched, [1, 3]);
    }
}
