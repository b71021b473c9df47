//! The TIFF tags that are read, and their names for messages.

macro_rules! tags {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        $(pub(crate) const $name: u16 = $number;)*

        /// The tag's name, for messages.
        pub(crate) fn name(tag: u16) -> &'static str {
            match tag {
                $($number => $text,)*
                _ => "unknown tag",
            }
        }

        /// The tags that are read; all others are passed over unseen.
        pub(crate) const KNOWN: &[u16] = &[$($number),*];
    };
}

tags! {
    NEW_SUBFILE_TYPE = 254, "NewSubfileType";
    IMAGE_WIDTH = 256, "ImageWidth";
    IMAGE_LENGTH = 257, "ImageLength";
    BITS_PER_SAMPLE = 258, "BitsPerSample";
    COMPRESSION = 259, "Compression";
    PHOTOMETRIC = 262, "PhotometricInterpretation";
    FILL_ORDER = 266, "FillOrder";
    STRIP_OFFSETS = 273, "StripOffsets";
    SAMPLES_PER_PIXEL = 277, "SamplesPerPixel";
    ROWS_PER_STRIP = 278, "RowsPerStrip";
    STRIP_BYTE_COUNTS = 279, "StripByteCounts";
    PLANAR_CONFIGURATION = 284, "PlanarConfiguration";
    GROUP_3_OPTIONS = 292, "T4Options";
    PREDICTOR = 317, "Predictor";
    TILE_WIDTH = 322, "TileWidth";
    TILE_LENGTH = 323, "TileLength";
    TILE_OFFSETS = 324, "TileOffsets";
    TILE_BYTE_COUNTS = 325, "TileByteCounts";
    SUB_IFDS = 330, "SubIFDs";
    EXTRA_SAMPLES = 338, "ExtraSamples";
    SAMPLE_FORMAT = 339, "SampleFormat";
    JPEG_TABLES = 347, "JPEGTables";
    MODEL_PIXEL_SCALE = 33550, "ModelPixelScale";
    MODEL_TIEPOINT = 33922, "ModelTiepoint";
    MODEL_TRANSFORMATION = 34264, "ModelTransformation";
    GEO_KEY_DIRECTORY = 34735, "GeoKeyDirectory";
    GEO_DOUBLE_PARAMS = 34736, "GeoDoubleParams";
    GEO_ASCII_PARAMS = 34737, "GeoAsciiParams";
    GDAL_METADATA = 42112, "GDAL_METADATA";
    GDAL_NODATA = 42113, "GDAL_NODATA";
    LERC_PARAMETERS = 50674, "LercParameters";
}

/// Whether the values are the places of blocks: arrays as long as the image has
/// blocks, which are not read with the rest of the header.
pub(crate) fn is_block_array(tag: u16) -> bool {
    matches!(
        tag,
        STRIP_OFFSETS | STRIP_BYTE_COUNTS | TILE_OFFSETS | TILE_BYTE_COUNTS
    )
}
