-- One spatial index: the extents of datasets in the CRS with the number {srid}.
-- As datacube-core 1.9.22 makes it, the comment on the table included.

CREATE TABLE odc.spatial_{srid} (
    dataset_ref uuid NOT NULL,
    extent geometry(MultiPolygon,{srid}) NOT NULL
);

COMMENT ON TABLE odc.spatial_{srid} IS 'A product or dataset type, family of related datasets.';

COMMENT ON COLUMN odc.spatial_{srid}.dataset_ref IS 'The dataset being indexed';

COMMENT ON COLUMN odc.spatial_{srid}.extent IS 'The extent of the dataset';

ALTER TABLE ONLY odc.spatial_{srid}
    ADD CONSTRAINT spatial_{srid}_pkey PRIMARY KEY (dataset_ref);

CREATE INDEX idx_spatial_{srid}_extent ON odc.spatial_{srid} USING gist (extent);

ALTER TABLE ONLY odc.spatial_{srid}
    ADD CONSTRAINT spatial_{srid}_dataset_ref_fkey FOREIGN KEY (dataset_ref) REFERENCES odc.dataset(id);

INSERT INTO odc.spatial_indicies (srid, table_name) VALUES ({srid}, 'spatial_{srid}');
