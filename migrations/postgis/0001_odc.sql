-- The schema `odc`, object by object as datacube-core 1.9.22 makes it with its
-- postgis driver (alembic revision 01fa1abedd6d), so that either side works on a
-- database that the other made. From `pg_dump --schema-only` of such a database;
-- tests/interop/index_schema.py compares the two.
--
-- The extension postgis is there before this runs. Tables for spatial indexes,
-- `odc.spatial_4326` among them, are made one by one (spatial_index.sql).

CREATE SCHEMA odc;

CREATE TYPE odc.float8range AS RANGE (
    subtype = double precision,
    multirange_type_name = odc.float8multirange,
    subtype_diff = float8mi
);

CREATE FUNCTION odc.set_row_update_time() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  new.updated = now();
  return new;
end;
$$;

CREATE TABLE odc.alembic_version (
    version_num character varying(32) NOT NULL
);

CREATE TABLE odc.dataset (
    id uuid NOT NULL,
    metadata_type_ref smallint NOT NULL,
    product_ref smallint NOT NULL,
    metadata jsonb NOT NULL,
    archived timestamp with time zone,
    added timestamp with time zone DEFAULT now() NOT NULL,
    added_by text DEFAULT CURRENT_USER NOT NULL,
    updated timestamp with time zone DEFAULT now() NOT NULL,
    uri_scheme character varying,
    uri_body character varying
);

COMMENT ON TABLE odc.dataset IS 'A dataset.';

COMMENT ON COLUMN odc.dataset.metadata_type_ref IS 'The metadata type - how to interpret the metadata';

COMMENT ON COLUMN odc.dataset.product_ref IS 'The product this dataset belongs to';

COMMENT ON COLUMN odc.dataset.metadata IS 'The dataset metadata document';

COMMENT ON COLUMN odc.dataset.archived IS 'when archived, null if active';

COMMENT ON COLUMN odc.dataset.added IS 'when added';

COMMENT ON COLUMN odc.dataset.added_by IS 'added by whom';

COMMENT ON COLUMN odc.dataset.updated IS 'when last updated';

COMMENT ON COLUMN odc.dataset.uri_scheme IS 'The scheme of the uri.';

COMMENT ON COLUMN odc.dataset.uri_body IS 'The body of the uri.

The uri scheme and body make up the base URI to find the dataset.

All paths in the dataset metadata can be computed relative to this.
(it is often the path of the source metadata file)

eg ''file:///g/data/datasets/LS8_NBAR/odc-metadata.yaml'' or ''ftp://eo.something.com/dataset''
''file'' is a scheme, ''///g/data/datasets/LS8_NBAR/odc-metadata.yaml'' is a body.';

CREATE TABLE odc.dataset_home (
    dataset_ref uuid NOT NULL,
    home text NOT NULL
);

COMMENT ON TABLE odc.dataset_home IS 'Represents an optional ''home index'' for an external dataset';

COMMENT ON COLUMN odc.dataset_home.dataset_ref IS 'The dataset ID - no referential integrity enforced to dataset table.';

COMMENT ON COLUMN odc.dataset_home.home IS 'The ''home'' index where this dataset can be found.
Not interpreted directly by ODC, provided as a convenience to database administrators.';

CREATE TABLE odc.dataset_lineage (
    derived_dataset_ref uuid NOT NULL,
    source_dataset_ref uuid NOT NULL,
    classifier character varying NOT NULL
);

COMMENT ON TABLE odc.dataset_lineage IS 'Represents a source-lineage relationship between two datasets';

COMMENT ON COLUMN odc.dataset_lineage.derived_dataset_ref IS 'The downstream derived dataset produced from the upstream source dataset.';

COMMENT ON COLUMN odc.dataset_lineage.source_dataset_ref IS 'An upstream source dataset that the downstream derived dataset was produced from.';

COMMENT ON COLUMN odc.dataset_lineage.classifier IS 'An identifier for this source dataset.
E.g. the dataset type (''ortho'', ''nbar''...) if there''s only one source of each type, or a datestamp
for a time-range summary.';

CREATE TABLE odc.dataset_search_datetime (
    dataset_ref uuid NOT NULL,
    search_key character varying NOT NULL,
    search_val tstzrange
);

COMMENT ON TABLE odc.dataset_search_datetime IS 'Index for searching datasets by search fields of datetime type';

COMMENT ON COLUMN odc.dataset_search_datetime.dataset_ref IS 'The dataset indexed by this search field record.';

COMMENT ON COLUMN odc.dataset_search_datetime.search_key IS 'The name of the search field';

COMMENT ON COLUMN odc.dataset_search_datetime.search_val IS 'The value of the datetime search field';

CREATE TABLE odc.dataset_search_num (
    dataset_ref uuid NOT NULL,
    search_key character varying NOT NULL,
    search_val numrange
);

COMMENT ON TABLE odc.dataset_search_num IS 'Index for searching datasets by search fields of numeric type';

COMMENT ON COLUMN odc.dataset_search_num.dataset_ref IS 'The dataset indexed by this search field record.';

COMMENT ON COLUMN odc.dataset_search_num.search_key IS 'The name of the search field';

COMMENT ON COLUMN odc.dataset_search_num.search_val IS 'The value of the numeric range search field';

CREATE TABLE odc.dataset_search_string (
    dataset_ref uuid NOT NULL,
    search_key character varying NOT NULL,
    search_val character varying
);

COMMENT ON TABLE odc.dataset_search_string IS 'Index for searching datasets by search fields of string type';

COMMENT ON COLUMN odc.dataset_search_string.dataset_ref IS 'The dataset indexed by this search field record.';

COMMENT ON COLUMN odc.dataset_search_string.search_key IS 'The name of the search field';

COMMENT ON COLUMN odc.dataset_search_string.search_val IS 'The value of the string search field';

CREATE TABLE odc.metadata_type (
    id smallint NOT NULL,
    name character varying,
    definition jsonb NOT NULL,
    added timestamp with time zone DEFAULT now() NOT NULL,
    added_by text DEFAULT CURRENT_USER NOT NULL,
    updated timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT alphanumeric_name CHECK (((name)::text ~* '^\w+$'::text))
);

COMMENT ON TABLE odc.metadata_type IS 'Metadata type, defining search fields requiring dynamic indexes';

COMMENT ON COLUMN odc.metadata_type.name IS 'A human-friendly name/label for this metadata type';

COMMENT ON COLUMN odc.metadata_type.definition IS 'metadata schema with search fields';

COMMENT ON COLUMN odc.metadata_type.added IS 'when added';

COMMENT ON COLUMN odc.metadata_type.added_by IS 'added by whom';

COMMENT ON COLUMN odc.metadata_type.updated IS 'when last updated';

CREATE SEQUENCE odc.metadata_type_id_seq
    AS smallint
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE odc.metadata_type_id_seq OWNED BY odc.metadata_type.id;

CREATE TABLE odc.product (
    id smallint NOT NULL,
    name character varying NOT NULL,
    metadata jsonb NOT NULL,
    metadata_type_ref smallint NOT NULL,
    definition jsonb NOT NULL,
    added timestamp with time zone DEFAULT now() NOT NULL,
    added_by text DEFAULT CURRENT_USER NOT NULL,
    updated timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT alphanumeric_name CHECK (((name)::text ~* '^\w+$'::text))
);

COMMENT ON TABLE odc.product IS 'A product or dataset type, family of related datasets.';

COMMENT ON COLUMN odc.product.name IS 'A human-friendly name/label for this product';

COMMENT ON COLUMN odc.product.metadata IS 'The product metadata document (subset of the full definition)
All datasets of this type should contain these fields.
(newly-ingested datasets may be matched against these fields to determine the dataset type)';

COMMENT ON COLUMN odc.product.metadata_type_ref IS 'The metadata type - how to interpret the metadata';

COMMENT ON COLUMN odc.product.definition IS 'Full product definition document';

COMMENT ON COLUMN odc.product.added IS 'when added';

COMMENT ON COLUMN odc.product.added_by IS 'added by whom';

COMMENT ON COLUMN odc.product.updated IS 'when last updated';

CREATE SEQUENCE odc.product_id_seq
    AS smallint
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE odc.product_id_seq OWNED BY odc.product.id;

CREATE TABLE odc.spatial_indicies (
    srid smallint NOT NULL,
    table_name character varying,
    added timestamp with time zone DEFAULT now() NOT NULL,
    added_by text DEFAULT CURRENT_USER NOT NULL
);

COMMENT ON TABLE odc.spatial_indicies IS 'Record of the existence of a Spatial Index Table for an SRID/CRS';

COMMENT ON COLUMN odc.spatial_indicies.table_name IS 'The name of the table implementing the index - DO NOT CHANGE';

COMMENT ON COLUMN odc.spatial_indicies.added IS 'when added';

COMMENT ON COLUMN odc.spatial_indicies.added_by IS 'added by whom';

ALTER TABLE ONLY odc.metadata_type ALTER COLUMN id SET DEFAULT nextval('odc.metadata_type_id_seq'::regclass);

ALTER TABLE ONLY odc.product ALTER COLUMN id SET DEFAULT nextval('odc.product_id_seq'::regclass);

ALTER TABLE ONLY odc.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);

ALTER TABLE ONLY odc.dataset_home
    ADD CONSTRAINT dataset_home_pkey PRIMARY KEY (dataset_ref);

ALTER TABLE ONLY odc.dataset_lineage
    ADD CONSTRAINT dataset_lineage_pkey PRIMARY KEY (source_dataset_ref, derived_dataset_ref);

ALTER TABLE ONLY odc.dataset
    ADD CONSTRAINT dataset_pkey PRIMARY KEY (id);

ALTER TABLE ONLY odc.dataset_search_datetime
    ADD CONSTRAINT dataset_search_datetime_pkey PRIMARY KEY (dataset_ref, search_key);

ALTER TABLE ONLY odc.dataset_search_num
    ADD CONSTRAINT dataset_search_num_pkey PRIMARY KEY (dataset_ref, search_key);

ALTER TABLE ONLY odc.dataset_search_string
    ADD CONSTRAINT dataset_search_string_pkey PRIMARY KEY (dataset_ref, search_key);

ALTER TABLE ONLY odc.metadata_type
    ADD CONSTRAINT metadata_type_name_key UNIQUE (name);

ALTER TABLE ONLY odc.metadata_type
    ADD CONSTRAINT metadata_type_pkey PRIMARY KEY (id);

ALTER TABLE ONLY odc.product
    ADD CONSTRAINT product_name_key UNIQUE (name);

ALTER TABLE ONLY odc.product
    ADD CONSTRAINT product_pkey PRIMARY KEY (id);

ALTER TABLE ONLY odc.spatial_indicies
    ADD CONSTRAINT spatial_indicies_pkey PRIMARY KEY (srid);

ALTER TABLE ONLY odc.spatial_indicies
    ADD CONSTRAINT spatial_indicies_table_name_key UNIQUE (table_name);

CREATE INDEX ix_ds_mdt_active ON odc.dataset USING btree (metadata_type_ref) WHERE (archived IS NULL);

CREATE INDEX ix_ds_prod_active ON odc.dataset USING btree (product_ref) WHERE (archived IS NULL);

CREATE INDEX ix_dt_search ON odc.dataset_search_datetime USING gist (search_val);

CREATE INDEX ix_lin_derived_classifier ON odc.dataset_lineage USING btree (derived_dataset_ref, classifier);

CREATE INDEX ix_num_search ON odc.dataset_search_num USING gist (search_val);

CREATE INDEX ix_odc_dataset_added ON odc.dataset USING btree (added);

CREATE INDEX ix_odc_dataset_archived ON odc.dataset USING btree (archived);

CREATE INDEX ix_odc_dataset_lineage_derived_dataset_ref ON odc.dataset_lineage USING btree (derived_dataset_ref);

CREATE INDEX ix_odc_dataset_lineage_source_dataset_ref ON odc.dataset_lineage USING btree (source_dataset_ref);

CREATE INDEX ix_odc_dataset_search_datetime_dataset_ref ON odc.dataset_search_datetime USING btree (dataset_ref);

CREATE INDEX ix_odc_dataset_search_datetime_search_key ON odc.dataset_search_datetime USING btree (search_key);

CREATE INDEX ix_odc_dataset_search_num_dataset_ref ON odc.dataset_search_num USING btree (dataset_ref);

CREATE INDEX ix_odc_dataset_search_num_search_key ON odc.dataset_search_num USING btree (search_key);

CREATE INDEX ix_odc_dataset_search_string_dataset_ref ON odc.dataset_search_string USING btree (dataset_ref);

CREATE INDEX ix_odc_dataset_search_string_search_key ON odc.dataset_search_string USING btree (search_key);

CREATE INDEX ix_odc_dataset_updated ON odc.dataset USING btree (updated);

CREATE INDEX ix_string_search ON odc.dataset_search_string USING btree (search_key, search_val);

CREATE TRIGGER row_update_time_dataset BEFORE UPDATE ON odc.dataset FOR EACH ROW EXECUTE FUNCTION odc.set_row_update_time();

CREATE TRIGGER row_update_time_metadata_type BEFORE UPDATE ON odc.metadata_type FOR EACH ROW EXECUTE FUNCTION odc.set_row_update_time();

CREATE TRIGGER row_update_time_product BEFORE UPDATE ON odc.product FOR EACH ROW EXECUTE FUNCTION odc.set_row_update_time();

ALTER TABLE ONLY odc.dataset
    ADD CONSTRAINT dataset_metadata_type_ref_fkey FOREIGN KEY (metadata_type_ref) REFERENCES odc.metadata_type(id);

ALTER TABLE ONLY odc.dataset
    ADD CONSTRAINT dataset_product_ref_fkey FOREIGN KEY (product_ref) REFERENCES odc.product(id);

ALTER TABLE ONLY odc.dataset_search_datetime
    ADD CONSTRAINT dataset_search_datetime_dataset_ref_fkey FOREIGN KEY (dataset_ref) REFERENCES odc.dataset(id);

ALTER TABLE ONLY odc.dataset_search_num
    ADD CONSTRAINT dataset_search_num_dataset_ref_fkey FOREIGN KEY (dataset_ref) REFERENCES odc.dataset(id);

ALTER TABLE ONLY odc.dataset_search_string
    ADD CONSTRAINT dataset_search_string_dataset_ref_fkey FOREIGN KEY (dataset_ref) REFERENCES odc.dataset(id);

ALTER TABLE ONLY odc.product
    ADD CONSTRAINT product_metadata_type_ref_fkey FOREIGN KEY (metadata_type_ref) REFERENCES odc.metadata_type(id);

INSERT INTO odc.alembic_version (version_num) VALUES ('01fa1abedd6d');
