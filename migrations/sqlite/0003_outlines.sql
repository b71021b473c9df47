-- Boxes in the order of searches.
--
-- When and where datasets are is read from the index alone: the table has the documents,
-- many times as much.

PRAGMA user_version = 3;

DROP INDEX dataset_product_order;
CREATE INDEX dataset_product_order ON dataset (
    product, center_us, id, begin_us, end_us, archived_us, west, south, east, north
);
