//! Headers that no writer at hand makes, put together byte by byte: chains that
//! loop, sub-directories, masks, arrays that are missing or too short.

#[path = "common/raster.rs"]
mod raster;

use datacube_geo::{PixelWindow, Shape2d};
use datacube_load::{MaskKind, PixelBuffer, RasterReader, Result};
use datacube_model::DType;
use raster::{open, rasters, read_band, read_mask};
use std::sync::Arc;

/// A value of a tag of the test's TIFFs, little-endian and classic.
enum Tag {
    Short(Vec<u16>),
    Long(Vec<u32>),
    /// The offset of the directory with this number.
    Directory(usize),
    /// The offset of the data.
    Data(u32),
}
use Tag::{Data, Directory, Long, Short};

/// Directories one after the other, from offset 8 on, then the longer values,
/// then `data`. `next[i]` is the directory that follows directory `i`.
fn tiff(directories: &[Vec<(u16, Tag)>], next: &[Option<usize>], data: &[u8]) -> Vec<u8> {
    let mut offsets = vec![8_u32];
    for directory in directories {
        let size = 2 + u32::try_from(directory.len()).unwrap() * 12 + 4;
        offsets.push(offsets.last().unwrap() + size);
    }
    let values_at = offsets.pop().unwrap();
    let values_size: usize = directories
        .iter()
        .flatten()
        .map(|(_, tag)| out_of_line(tag))
        .sum();
    let data_at = values_at + u32::try_from(values_size).unwrap();
    let mut file = b"II\x2a\x00\x08\x00\x00\x00".to_vec();
    let mut values: Vec<u8> = Vec::new();
    for (directory, next) in directories.iter().zip(next) {
        file.extend(u16::try_from(directory.len()).unwrap().to_le_bytes());
        for (tag, value) in directory {
            let (kind, bytes): (u16, Vec<u8>) = match value {
                Short(shorts) => (3, shorts.iter().flat_map(|v| v.to_le_bytes()).collect()),
                Long(longs) => (4, longs.iter().flat_map(|v| v.to_le_bytes()).collect()),
                Directory(idx) => (4, offsets[*idx].to_le_bytes().to_vec()),
                Data(at) => (4, (data_at + at).to_le_bytes().to_vec()),
            };
            let size = if kind == 3 { 2 } else { 4 };
            file.extend(tag.to_le_bytes());
            file.extend(kind.to_le_bytes());
            file.extend(u32::try_from(bytes.len() / size).unwrap().to_le_bytes());
            if bytes.len() <= 4 {
                file.extend(bytes.iter().chain(&[0; 4]).take(4));
            } else {
                let at = values_at + u32::try_from(values.len()).unwrap();
                file.extend(at.to_le_bytes());
                values.extend(bytes);
            }
        }
        file.extend(next.map_or(0, |idx| offsets[idx]).to_le_bytes());
    }
    file.extend(values);
    file.extend(data);
    file
}

fn out_of_line(tag: &Tag) -> usize {
    let n_bytes = match tag {
        Short(values) => values.len() * 2,
        Long(values) => values.len() * 4,
        Directory(_) | Data(_) => 4,
    };
    if n_bytes <= 4 { 0 } else { n_bytes }
}

/// An uncompressed image of `u8` in one strip whose data begin at `at`.
fn image(rows: u16, cols: u16, at: u32) -> Vec<(u16, Tag)> {
    vec![
        (256, Short(vec![cols])),
        (257, Short(vec![rows])),
        (258, Short(vec![8])),
        (259, Short(vec![1])),
        (273, Data(at)),
        (279, Long(vec![u32::from(rows) * u32::from(cols)])),
    ]
}

/// `directory` with `tag` put in or replaced.
fn with(mut directory: Vec<(u16, Tag)>, number: u16, tag: Tag) -> Vec<(u16, Tag)> {
    directory.retain(|(other, _)| *other != number);
    directory.push((number, tag));
    directory
}

fn without(mut directory: Vec<(u16, Tag)>, number: u16) -> Vec<(u16, Tag)> {
    directory.retain(|(other, _)| *other != number);
    directory
}

async fn open_bytes(file: &[u8]) -> Result<Arc<dyn RasterReader>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("made.tif");
    std::fs::write(&path, file).unwrap();
    open(&rasters(), &path).await
}

async fn pixels(file: &[u8], level: usize) -> Vec<u8> {
    let reader = open_bytes(file).await.unwrap();
    read_band(&*reader, level, 1)
        .await
        .unwrap()
        .as_bytes()
        .to_vec()
}

#[tokio::test]
async fn a_chain_that_loops_is_refused() {
    for next in [[Some(0), None], [Some(1), Some(0)], [Some(1), Some(1)]] {
        let file = tiff(&[image(2, 2, 0), image(1, 1, 0)], &next, &[1, 2, 3, 4]);
        let error = open_bytes(&file).await.unwrap_err().to_string();
        assert!(error.contains("leads back to offset"), "{error}");
    }
}

#[tokio::test]
async fn overviews_are_found_in_the_chain_and_below() {
    let reduced = with(image(2, 2, 16), 254, Long(vec![1]));
    let data: Vec<u8> = (0..20).collect();
    let chained = tiff(&[image(4, 4, 0), reduced], &[Some(1), None], &data);
    assert_eq!(pixels(&chained, 1).await, [16, 17, 18, 19]);

    let reduced = with(image(2, 2, 16), 254, Long(vec![1]));
    let main = with(image(4, 4, 0), 330, Directory(1));
    let below = tiff(&[main, reduced], &[None, None], &data);
    assert_eq!(pixels(&below, 1).await, [16, 17, 18, 19]);

    // Another picture, or one of another aspect, is no overview.
    let data = [0; 2500];
    let thumbnail = with(image(10, 20, 16), 254, Long(vec![1]));
    for other in [image(30, 20, 16), thumbnail] {
        let file = tiff(&[image(60, 40, 0), other], &[Some(1), None], &data);
        assert_eq!(open_bytes(&file).await.unwrap().info().levels.len(), 1);
    }
}

#[tokio::test]
async fn what_follows_the_first_image_may_be_damaged() {
    let broken = with(image(2, 2, 0), 258, Short(vec![8; 40_000]));
    let mut file = tiff(&[image(2, 2, 0), broken], &[Some(1), None], &[1, 2, 3, 4]);
    file.truncate(300);
    file.extend([0; 10]);
    let reader = open_bytes(&file).await.unwrap();
    assert!(
        reader
            .info()
            .details
            .iter()
            .any(|(name, _)| *name == "ignored")
    );
}

#[tokio::test]
async fn a_mask_goes_with_the_image_of_its_size() {
    let mask = with(
        with(image(3, 3, 9), 254, Long(vec![4])),
        258,
        Short(vec![1]),
    );
    let mask = with(mask, 279, Long(vec![3]));
    let data = [1, 2, 3, 4, 5, 6, 7, 8, 9, 0b1010_0000, 0, 0b0110_0000];
    let file = tiff(&[image(3, 3, 0), mask], &[Some(1), None], &data);
    let reader = open_bytes(&file).await.unwrap();
    assert_eq!(reader.info().mask, MaskKind::Internal);
    let mask = read_mask(&*reader).await.unwrap().unwrap();
    assert_eq!(
        (mask.dtype(), mask.as_bytes()),
        (DType::Bool, &[1, 0, 1, 0, 0, 0, 0, 1, 1][..])
    );
}

#[tokio::test]
async fn sizes_of_uncompressed_strips_may_be_missing() {
    let file = tiff(&[without(image(2, 2, 0), 279)], &[None], &[1, 2, 3, 4]);
    assert_eq!(pixels(&file, 0).await, [1, 2, 3, 4]);
    // And compressed ones not.
    let packed = with(without(image(2, 2, 0), 279), 259, Short(vec![8]));
    let error = open_bytes(&tiff(&[packed], &[None], &[0; 9]))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("ByteCounts: it is missing"), "{error}");
}

#[tokio::test]
async fn arrays_that_are_too_short_leave_blocks_out() {
    let short = with(
        with(image(3, 2, 0), 278, Short(vec![1])),
        279,
        Long(vec![2]),
    );
    let file = tiff(&[short], &[None], &[7, 8]);
    assert_eq!(pixels(&file, 0).await, [7, 8, 0, 0, 0, 0]);

    // But not a million of them.
    let many = with(
        with(image(3, 2, 0), 257, Long(vec![2_000_000])),
        278,
        Short(vec![1]),
    );
    let error = open_bytes(&tiff(&[many], &[None], &[7, 8]))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("1 values for 2000000 blocks"), "{error}");
}

#[tokio::test]
async fn claims_that_memory_cannot_meet_are_refused_before_it_is_taken() {
    let huge = |tags: Vec<(u16, Tag)>| {
        let mut directory = image(2, 2, 0);
        for (number, tag) in tags {
            directory = with(directory, number, tag);
        }
        tiff(&[directory], &[None], &[1; 100])
    };
    let window = PixelWindow::new(0..1, 0..1);
    for (file, part) in [
        (
            huge(vec![
                (256, Long(vec![60_000])),
                (257, Long(vec![60_000])),
                (259, Short(vec![5])),
            ]),
            "rewrite the file in tiles",
        ),
        (
            huge(vec![
                (256, Long(vec![9_000])),
                (257, Long(vec![9_000])),
                (259, Short(vec![5])),
            ]),
            "4 bytes of LZW cannot hold",
        ),
    ] {
        let reader = open_bytes(&file).await.unwrap();
        let mut out = PixelBuffer::empty(DType::UInt8);
        let read = match reader.fetch(0, 1, window.clone()).await {
            Ok(blocks) => reader.decode(&blocks, window.clone(), &mut out),
            Err(error) => Err(error),
        };
        let error = read.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn one_huge_uncompressed_strip_is_read_by_rows() {
    let (rows, cols) = (2000_u16, 100_u16);
    let data: Vec<u8> = (0..200_000_u32)
        .map(|i| u8::try_from(i / 100 % 251).unwrap())
        .collect();
    let file = tiff(&[image(rows, cols, 0)], &[None], &data);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("strip.tif");
    std::fs::write(&path, file).unwrap();
    let reader = open(&rasters(), &path).await.unwrap();
    assert_eq!(
        reader.info().levels[0].block_shape,
        Shape2d {
            rows: 2000,
            cols: 100
        }
    );
    let window = PixelWindow::new(1500..1503, 5..7);
    let blocks = reader.fetch(0, 1, window.clone()).await.unwrap();
    assert_eq!(blocks.cost().bytes, 300);
    let mut out = PixelBuffer::empty(DType::UInt8);
    reader.decode(&blocks, window, &mut out).unwrap();
    let row = |row: usize| [u8::try_from(row % 251).unwrap(); 2];
    assert_eq!(out.as_bytes(), [row(1500), row(1501), row(1502)].concat());
}
