-- The embedded index: metadata types, products and datasets in one SQLite file.
--
-- Documents are kept whole, as JSON text; everything else here is derived from
-- them so that datasets can be found. Times are integers: microseconds since
-- 1970 in UTC. `key` is local to the file, `id` and `name` are the world's.
--
-- application_id says that the file is ours ("DCUB"), user_version which of
-- these migrations it has seen; every migration sets user_version.

PRAGMA application_id = 1145263426;
PRAGMA user_version = 1;

-- A number that changes whenever a definition does, so that a process knows
-- whether what it has read of them still holds.
CREATE TABLE catalog (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    revision INTEGER NOT NULL
) STRICT;

INSERT INTO catalog (only_row, revision) VALUES (1, 0);

CREATE TABLE metadata_type (
    key      INTEGER PRIMARY KEY,
    name     TEXT    NOT NULL UNIQUE,
    document TEXT    NOT NULL CHECK (json_valid(document)),
    added_us INTEGER NOT NULL
) STRICT;

CREATE TABLE product (
    key           INTEGER PRIMARY KEY,
    name          TEXT    NOT NULL UNIQUE,
    metadata_type INTEGER NOT NULL REFERENCES metadata_type (key),
    document      TEXT    NOT NULL CHECK (json_valid(document)),
    added_us      INTEGER NOT NULL,
    -- The longest time range of any dataset ever added: datasets that meet a
    -- time range have their middle within half of this around it.
    longest_us    INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX product_metadata_type ON product (metadata_type);

CREATE TRIGGER metadata_type_added AFTER INSERT ON metadata_type
BEGIN UPDATE catalog SET revision = revision + 1; END;
CREATE TRIGGER metadata_type_changed AFTER UPDATE OF name, document ON metadata_type
BEGIN UPDATE catalog SET revision = revision + 1; END;
CREATE TRIGGER metadata_type_removed AFTER DELETE ON metadata_type
BEGIN UPDATE catalog SET revision = revision + 1; END;
CREATE TRIGGER product_added AFTER INSERT ON product
BEGIN UPDATE catalog SET revision = revision + 1; END;
CREATE TRIGGER product_changed AFTER UPDATE OF name, metadata_type, document ON product
BEGIN UPDATE catalog SET revision = revision + 1; END;
CREATE TRIGGER product_removed AFTER DELETE ON product
BEGIN UPDATE catalog SET revision = revision + 1; END;

-- The names of search fields, over all metadata types.
CREATE TABLE search_field (
    key  INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE dataset (
    key         INTEGER PRIMARY KEY,
    id          BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    product     INTEGER NOT NULL REFERENCES product (key),
    begin_us    INTEGER NOT NULL,
    end_us      INTEGER NOT NULL,
    center_us   INTEGER NOT NULL,
    archived_us INTEGER,
    indexed_us  INTEGER NOT NULL,
    -- The box around the footprint, in degrees; west is in [-180, 180), east is
    -- not less than west, so beyond 180 where the antimeridian is crossed.
    west        REAL,
    south       REAL,
    east        REAL,
    north       REAL,
    -- {"<search_field.key>": text | 0/1 | microseconds | number | [low, high]}.
    -- SQLite reads a double in JSON to about 16 digits only, so a number is the
    -- integer of its 64 bits, those below the sign inverted where it is
    -- negative: exact, and in the same order.
    fields      TEXT    NOT NULL,
    -- Longitude and latitude, WKB, unwrapped as the box is; null for none.
    footprint   BLOB
) STRICT;

-- The order of every search. What a query over product and time compares is
-- in the index, so that counting does not touch the table.
CREATE INDEX dataset_product_order
    ON dataset (product, center_us, id, begin_us, end_us, archived_us);
CREATE INDEX dataset_order
    ON dataset (center_us, id, product, begin_us, end_us, archived_us);

CREATE TABLE document (
    dataset INTEGER PRIMARY KEY REFERENCES dataset (key) ON DELETE CASCADE,
    text    TEXT    NOT NULL
) STRICT;

CREATE TABLE location (
    dataset     INTEGER NOT NULL REFERENCES dataset (key) ON DELETE CASCADE,
    -- 0 is read first.
    priority    INTEGER NOT NULL,
    uri         TEXT    NOT NULL,
    archived_us INTEGER,
    PRIMARY KEY (dataset, priority)
) STRICT, WITHOUT ROWID;

-- Boxes around footprints within -180 to 180 degrees, over the dataset's time
-- range. key = 2 * dataset.key, and 2 * dataset.key + 1 for the second box of
-- a footprint that crosses the antimeridian. The R*Tree keeps 32-bit floats,
-- rounded outward. Times in it are in units of 10 days since 1970, so that
-- a revisit is about as long as a scene is wide.
CREATE VIRTUAL TABLE footprint_box USING rtree (
    key, west, east, south, north, first, last
);

-- The values of fields that their metadata type calls indexed.
CREATE TABLE search_text (
    field   INTEGER NOT NULL REFERENCES search_field (key),
    value   TEXT    NOT NULL,
    dataset INTEGER NOT NULL,
    PRIMARY KEY (field, value, dataset)
) STRICT, WITHOUT ROWID;

-- Numbers, times and booleans; low = high where the value is no range.
CREATE TABLE search_range (
    field   INTEGER NOT NULL REFERENCES search_field (key),
    low     ANY     NOT NULL,
    high    ANY     NOT NULL,
    dataset INTEGER NOT NULL,
    PRIMARY KEY (field, low, high, dataset)
) STRICT, WITHOUT ROWID;
