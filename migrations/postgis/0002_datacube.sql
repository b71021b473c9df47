-- What this program keeps beside the schema `odc`: one row a dataset by which
-- it is found fast and in a fixed order, locations beyond the one that `odc`
-- has room for, and documents as they were written (jsonb forgets the order of
-- keys). Python's Open Data Cube does not look in here.
--
-- Triggers on the tables of `odc` keep it in step whoever writes there. What
-- they cannot compute (footprints, values of search fields) they mark as not
-- derived; this program derives it from the document when it next meets the row.
-- They do nothing for a transaction that says it looks after these tables
-- itself: SET LOCAL datacube.in_step = 'on'.

CREATE SCHEMA datacube;

CREATE TABLE datacube.migration (
    version integer PRIMARY KEY,
    applied timestamptz NOT NULL DEFAULT now()
);

-- Definitions as they were written; one that does not say the same as its row
-- in `odc` any more is passed over.
CREATE TABLE datacube.definition (
    kind     text     NOT NULL CHECK (kind IN ('metadata_type', 'product')),
    id       smallint NOT NULL,
    document text     NOT NULL,
    PRIMARY KEY (kind, id)
);

-- Times are microseconds since 1970 in UTC.
CREATE TABLE datacube.dataset (
    id          uuid     PRIMARY KEY,
    product     smallint NOT NULL,
    begin_us    bigint   NOT NULL,
    end_us      bigint   NOT NULL,
    center_us   bigint   NOT NULL,
    archived_us bigint,
    indexed_us  bigint   NOT NULL,
    -- Whether place, footprint and fields have been derived from the document.
    is_derived  boolean  NOT NULL,
    -- The diagonal of a box in four dimensions: longitude (west in [-180, 180),
    -- east not less), latitude, time in units of ten days, product.
    place       geometry(LineStringZM, 4326),
    -- {"name": text | true/false | [low, high]}, times in microseconds.
    fields      jsonb,
    -- Longitude and latitude, unwrapped: beyond 180 where the antimeridian is crossed.
    footprint   geometry(Geometry, 4326),
    -- Null where `odc.dataset.metadata` is all there is.
    document    text
);

-- Documents and outlines go to the side, so that the rows stay small.
ALTER TABLE datacube.dataset SET (toast_tuple_target = 256);
ALTER TABLE datacube.dataset ALTER COLUMN document SET STORAGE EXTENDED;

-- The order of every search, with what a query over product and time compares.
CREATE INDEX dataset_product_order ON datacube.dataset (product, center_us, id)
    INCLUDE (begin_us, end_us, archived_us, is_derived);
CREATE INDEX dataset_order ON datacube.dataset (center_us, id)
    INCLUDE (product, begin_us, end_us, archived_us, is_derived);
-- The longest time range of a product: datasets that meet a time range have
-- their middle within half of that around it.
CREATE INDEX dataset_length ON datacube.dataset (product, (end_us - begin_us));
CREATE INDEX dataset_place ON datacube.dataset USING gist (place gist_geometry_ops_nd);
CREATE INDEX dataset_not_derived ON datacube.dataset (id) WHERE NOT is_derived;

-- All locations of the datasets of which `odc.dataset` cannot hold them all.
CREATE TABLE datacube.location (
    dataset     uuid    NOT NULL,
    -- The smallest is read first.
    priority    integer NOT NULL,
    uri         text    NOT NULL,
    archived_us bigint,
    PRIMARY KEY (dataset, priority)
);
-- An entry of an index has to be short; 512 letters tell most locations apart.
CREATE INDEX location_uri ON datacube.location (left(uri, 512) text_pattern_ops);

-- The only location of all other datasets.
CREATE INDEX datacube_dataset_uri
    ON odc.dataset (left(coalesce(uri_scheme::text || ':'::text, ''::text) || uri_body::text, 512) text_pattern_ops);

CREATE FUNCTION datacube.in_step() RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog
    AS $$ SELECT coalesce(current_setting('datacube.in_step', true), '') = 'on' $$;

CREATE FUNCTION datacube.micros(instant timestamptz) RETURNS bigint
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog
    AS $$
        SELECT CASE WHEN isfinite(instant)
               THEN (extract(epoch FROM instant) * 1000000)::bigint END
    $$;

-- A time written in a document; null for what is none, never an error.
CREATE FUNCTION datacube.micros_of_text(instant text) RETURNS bigint
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog SET timezone = 'UTC'
    AS $$
    BEGIN
        RETURN datacube.micros(instant::timestamptz);
    EXCEPTION WHEN others THEN
        RETURN NULL;
    END
    $$;

-- The time range of a dataset as far as its document and its row among the
-- times tell; the latter is what the metadata type says it is.
CREATE FUNCTION datacube.times(dataset uuid, document jsonb, OUT begin_us bigint, OUT end_us bigint)
    LANGUAGE sql STABLE SET search_path = pg_catalog
    AS $$
        SELECT least(coalesce(b, e, 0), coalesce(e, b, 0)), greatest(coalesce(b, e, 0), coalesce(e, b, 0))
        FROM (SELECT
            coalesce(
                (SELECT datacube.micros(lower(search_val)) FROM odc.dataset_search_datetime
                 WHERE dataset_ref = dataset AND search_key = 'time'),
                datacube.micros_of_text(document #>> '{properties,dtr:start_datetime}'),
                datacube.micros_of_text(document #>> '{properties,datetime}')
            ) AS b,
            coalesce(
                (SELECT datacube.micros(upper(search_val)) FROM odc.dataset_search_datetime
                 WHERE dataset_ref = dataset AND search_key = 'time'),
                datacube.micros_of_text(document #>> '{properties,dtr:end_datetime}'),
                datacube.micros_of_text(document #>> '{properties,datetime}')
            ) AS e
        ) AS ends
    $$;

CREATE FUNCTION datacube.datasets_added() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
    AS $$
    BEGIN
        IF datacube.in_step() THEN RETURN NULL; END IF;
        INSERT INTO datacube.dataset
            (id, product, begin_us, end_us, center_us, archived_us, indexed_us, is_derived)
        SELECT a.id, a.product_ref, t.begin_us, t.end_us, t.begin_us + (t.end_us - t.begin_us) / 2,
               datacube.micros(a.archived), coalesce(datacube.micros(a.added), 0), false
        FROM added AS a CROSS JOIN LATERAL datacube.times(a.id, a.metadata) AS t
        ON CONFLICT (id) DO NOTHING;
        RETURN NULL;
    END
    $$;

CREATE FUNCTION datacube.datasets_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
    AS $$
    BEGIN
        IF datacube.in_step() THEN RETURN NULL; END IF;
        UPDATE datacube.dataset AS d
        SET archived_us = datacube.micros(a.archived)
        FROM after AS a JOIN before AS b ON b.id = a.id
        WHERE d.id = a.id AND a.archived IS DISTINCT FROM b.archived;
        UPDATE datacube.dataset AS d
        SET product = a.product_ref, begin_us = t.begin_us, end_us = t.end_us,
            center_us = t.begin_us + (t.end_us - t.begin_us) / 2,
            is_derived = false, place = NULL, fields = NULL, footprint = NULL, document = NULL
        FROM after AS a JOIN before AS b ON b.id = a.id
            CROSS JOIN LATERAL datacube.times(a.id, a.metadata) AS t
        WHERE d.id = a.id AND (
            a.metadata IS DISTINCT FROM b.metadata OR a.product_ref IS DISTINCT FROM b.product_ref
        );
        -- The one location that `odc` has takes the place of the one it had.
        INSERT INTO datacube.location (dataset, priority, uri)
        SELECT a.id, (SELECT min(l.priority) - 1 FROM datacube.location AS l WHERE l.dataset = a.id),
               coalesce(a.uri_scheme || ':', '') || a.uri_body
        FROM after AS a JOIN before AS b ON b.id = a.id
        WHERE (a.uri_scheme, a.uri_body) IS DISTINCT FROM (b.uri_scheme, b.uri_body)
          AND a.uri_body IS NOT NULL
          AND EXISTS (SELECT FROM datacube.location AS l WHERE l.dataset = a.id);
        DELETE FROM datacube.location AS l
        USING after AS a JOIN before AS b ON b.id = a.id
        WHERE l.dataset = a.id
          AND (a.uri_scheme, a.uri_body) IS DISTINCT FROM (b.uri_scheme, b.uri_body)
          AND l.uri = coalesce(b.uri_scheme || ':', '') || b.uri_body;
        RETURN NULL;
    END
    $$;

CREATE FUNCTION datacube.datasets_removed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
    AS $$
    BEGIN
        DELETE FROM datacube.dataset AS d USING removed AS r WHERE d.id = r.id;
        DELETE FROM datacube.location AS l USING removed AS r WHERE l.dataset = r.id;
        RETURN NULL;
    END
    $$;

CREATE FUNCTION datacube.datasets_truncated() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
    AS $$
    BEGIN
        TRUNCATE datacube.dataset, datacube.location;
        RETURN NULL;
    END
    $$;

-- The time range that the metadata type defines comes after the dataset.
CREATE FUNCTION datacube.times_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
    AS $$
    BEGIN
        IF datacube.in_step() THEN RETURN NULL; END IF;
        UPDATE datacube.dataset AS d
        SET begin_us = least(t.b, t.e), end_us = greatest(t.b, t.e),
            center_us = least(t.b, t.e) + (greatest(t.b, t.e) - least(t.b, t.e)) / 2
        FROM (
            SELECT dataset_ref, datacube.micros(lower(search_val)) AS b,
                   datacube.micros(upper(search_val)) AS e
            FROM after WHERE search_key = 'time'
        ) AS t
        WHERE d.id = t.dataset_ref AND NOT d.is_derived AND t.b IS NOT NULL AND t.e IS NOT NULL
          AND (d.begin_us, d.end_us) IS DISTINCT FROM (least(t.b, t.e), greatest(t.b, t.e));
        RETURN NULL;
    END
    $$;

-- A changed definition may mean other search fields.
CREATE FUNCTION datacube.products_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
    AS $$
    BEGIN
        IF datacube.in_step() THEN RETURN NULL; END IF;
        UPDATE datacube.dataset AS d SET is_derived = false
        FROM after AS a JOIN before AS b ON b.id = a.id
        WHERE d.product = a.id AND d.is_derived
          AND a.metadata_type_ref IS DISTINCT FROM b.metadata_type_ref;
        RETURN NULL;
    END
    $$;

CREATE FUNCTION datacube.metadata_types_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
    AS $$
    BEGIN
        IF datacube.in_step() THEN RETURN NULL; END IF;
        UPDATE datacube.dataset AS d SET is_derived = false
        FROM odc.product AS p, after AS a JOIN before AS b ON b.id = a.id
        WHERE d.product = p.id AND p.metadata_type_ref = a.id AND d.is_derived
          AND a.definition IS DISTINCT FROM b.definition;
        RETURN NULL;
    END
    $$;

CREATE TRIGGER datacube_added AFTER INSERT ON odc.dataset
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION datacube.datasets_added();
CREATE TRIGGER datacube_changed AFTER UPDATE ON odc.dataset
    REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION datacube.datasets_changed();
CREATE TRIGGER datacube_removed AFTER DELETE ON odc.dataset
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION datacube.datasets_removed();
CREATE TRIGGER datacube_truncated AFTER TRUNCATE ON odc.dataset
    FOR EACH STATEMENT EXECUTE FUNCTION datacube.datasets_truncated();
CREATE TRIGGER datacube_times_added AFTER INSERT ON odc.dataset_search_datetime
    REFERENCING NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION datacube.times_changed();
CREATE TRIGGER datacube_times_changed AFTER UPDATE ON odc.dataset_search_datetime
    REFERENCING NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION datacube.times_changed();
CREATE TRIGGER datacube_changed AFTER UPDATE ON odc.product
    REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION datacube.products_changed();
CREATE TRIGGER datacube_changed AFTER UPDATE ON odc.metadata_type
    REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION datacube.metadata_types_changed();

-- What is there already.
INSERT INTO datacube.dataset
    (id, product, begin_us, end_us, center_us, archived_us, indexed_us, is_derived)
SELECT o.id, o.product_ref, t.begin_us, t.end_us, t.begin_us + (t.end_us - t.begin_us) / 2,
       datacube.micros(o.archived), coalesce(datacube.micros(o.added), 0), false
FROM odc.dataset AS o CROSS JOIN LATERAL datacube.times(o.id, o.metadata) AS t;

INSERT INTO datacube.migration (version) VALUES (1);
