-- What datasets were made from, where they are at home, when they changed.
--
-- Lineage stands apart from documents: relations may be of datasets that are
-- in no index, or in another one. What the documents of the file say of it is
-- brought in here.

PRAGMA user_version = 2;

CREATE TABLE lineage (
    derived    BLOB NOT NULL CHECK (length(derived) = 16),
    classifier TEXT NOT NULL,
    source     BLOB NOT NULL CHECK (length(source) = 16),
    PRIMARY KEY (derived, classifier, source)
) STRICT, WITHOUT ROWID;

-- A pair has one classifier.
CREATE UNIQUE INDEX lineage_source ON lineage (source, derived);

-- The name of the index in which a dataset is at home.
CREATE TABLE home (
    dataset BLOB PRIMARY KEY CHECK (length(dataset) = 16),
    home    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Datasets by the places where they are, and by what those begin with.
CREATE INDEX location_uri ON location (uri);

-- When a dataset was added, updated, archived or restored, whichever was last.
ALTER TABLE dataset ADD COLUMN changed_us INTEGER NOT NULL DEFAULT 0;
UPDATE dataset SET changed_us = max(indexed_us, coalesce(archived_us, indexed_us));
CREATE INDEX dataset_changed ON dataset (product, changed_us);

INSERT OR IGNORE INTO lineage (derived, classifier, source)
SELECT d.id, named.key, unhex(replace(given.value, '-', ''))
FROM dataset AS d
JOIN document AS t ON t.dataset = d.key
JOIN json_each(t.text, '$.lineage') AS named ON named.type = 'array'
JOIN json_each(named.value) AS given ON given.type = 'text'
WHERE length(unhex(replace(given.value, '-', ''))) = 16;

-- The layout in which the Open Data Cube's legacy index gives documents back.
INSERT OR IGNORE INTO lineage (derived, classifier, source)
SELECT d.id, named.key, unhex(replace(named.value ->> '$.id', '-', ''))
FROM dataset AS d
JOIN document AS t ON t.dataset = d.key
JOIN json_each(t.text, '$.lineage.source_datasets') AS named ON named.type = 'object'
WHERE length(unhex(replace(named.value ->> '$.id', '-', ''))) = 16;
