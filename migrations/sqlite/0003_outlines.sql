-- Boxes in the order of searches.
--
-- When and where a million datasets are is read from the index alone, which is a
-- seventh of the table.

PRAGMA user_version = 3;

DROP INDEX dataset_product_order;
CREATE INDEX dataset_product_order ON dataset (
    product, center_us, id, begin_us, end_us, archived_us, west, south, east, north
);
