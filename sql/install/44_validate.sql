-- Validation sets: rolling collections of labelled rows, and their editions.

CREATE FUNCTION mlops_create_validation_set(model text, name text, source text, target text DEFAULT NULL,
       key text DEFAULT NULL, time_column text DEFAULT NULL, period interval DEFAULT NULL,
       max_rows bigint DEFAULT 10000, slices text[] DEFAULT '{}', stratify_by text[] DEFAULT '{}',
       label_delay interval DEFAULT '0', lateness interval DEFAULT '1 day', min_rows bigint DEFAULT 30,
       every interval DEFAULT NULL, frozen boolean DEFAULT false, seed bigint DEFAULT 42,
       time_unit interval DEFAULT NULL, time_origin timestamptz DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_create_validation_set(text, text, text, text, text, text, interval, bigint, text[], text[], interval, interval, bigint, interval, boolean, bigint, interval, timestamptz) IS
'makes a validation set of a model: a query''s labelled rows of the last period, at most max_rows of them';

CREATE FUNCTION mlops_drop_validation_set(model text, validation_set text) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_drop_validation_set(text, text) IS
'drops a validation set with its rows, editions, slices and pins';

CREATE TYPE mlops.refreshed AS (
    edition             integer,
    as_of               timestamptz,
    rows                bigint,
    rows_in             bigint,
    rows_out            bigint,
    kept                bigint,
    rows_read           bigint
);
COMMENT ON TYPE mlops.refreshed IS 'an edition after a refresh: rows in all, entered, left, staying; rows read of the source';

CREATE FUNCTION mlops_refresh_validation_set(model text, validation_set text DEFAULT NULL,
       as_of timestamptz DEFAULT pg_catalog.now())
RETURNS mlops.refreshed
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_refresh_validation_set(text, text, timestamptz) IS
'reads what is new in the source of a validation set and makes its next edition';

-- ---- editions ----

CREATE FUNCTION mlops_edition(model text, validation_set text DEFAULT NULL, edition integer DEFAULT NULL)
RETURNS SETOF jsonb
AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_edition(text, text, integer) IS
'the rows of an edition, the newest if none is named, with mlops_weight and mlops_slices';

CREATE FUNCTION mlops_edition(model text, validation_set text, edition integer, row_type anyelement)
RETURNS SETOF anyelement LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT pg_catalog.jsonb_populate_record(row_type, e)
  FROM mlops_edition(model, validation_set, edition) AS e
$$;
COMMENT ON FUNCTION mlops_edition(text, text, integer, anyelement) IS
'the rows of an edition as rows of a type: mlops_edition(model, set, NULL, NULL::customer)';

CREATE FUNCTION mlops_verify_edition(model text, validation_set text, edition integer) RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_verify_edition(text, text, integer) IS
'whether the rows of an edition still have the fingerprint that was recorded with it';

-- ---- slices ----

CREATE FUNCTION mlops_create_slice(model text, validation_set text, name text, condition text,
       min_rows bigint DEFAULT NULL) RETURNS bigint
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_create_slice(text, text, text, text, bigint) IS
'names the rows of a validation set for which a condition is true; returns how many the newest edition has';

CREATE FUNCTION mlops_drop_slice(model text, validation_set text, name text) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_drop_slice(text, text, text) IS
'takes a slice away that is a condition';

-- ---- past failures ----

CREATE FUNCTION mlops_pin(model text, validation_set text, key text, reason text DEFAULT NULL) RETURNS integer
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_pin(text, text, text, text) IS
'keeps a row of a validation set, or of its source, until it is unpinned; returns the edition';

CREATE FUNCTION mlops_unpin(model text, validation_set text, key text) RETURNS integer
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_unpin(text, text, text) IS
'lets a pinned row go; returns the edition';

CREATE FUNCTION mlops_pin_failures(model text, validation_set text DEFAULT NULL, max_rows integer DEFAULT 20,
       reason text DEFAULT NULL) RETURNS bigint
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_pin_failures(text, text, integer, text) IS
'pins failures that were reported and the rows that the active version gets most wrong; returns how many';

CREATE FUNCTION mlops_record_failure(model text, key text, correct_label text DEFAULT NULL, note text DEFAULT NULL,
       annotator text DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_record_failure(text, text, text, text, text) IS
'reports a prediction that was wrong, and the right label; mlops_pin_failures pins it';

-- ---- views: the sets of the models that the caller may read ----

CREATE VIEW mlops.validation_set WITH (security_barrier) AS
SELECT s.model, s.name, s.edition, s.as_of, e.rows, e.pinned, e.time_from, e.time_to, s.source, s.author, s.target, s.key,
       s.time_column, s.time_unit, s.time_origin, s.period, s.label_delay, s.lateness, s.every, s.max_rows, s.min_rows,
       s.slices, s.stratify_by, s.seed, s.frozen, s.columns, s.error, s.error_at, s.created_by, s.created_at
  FROM mlops_catalog.validation_set AS s
  LEFT JOIN mlops_catalog.edition AS e ON e.model OPERATOR(pg_catalog.=) s.model
        AND e.validation_set OPERATOR(pg_catalog.=) s.name AND e.edition OPERATOR(pg_catalog.=) s.edition
 WHERE mlops.may(s.model, 'read');
COMMENT ON VIEW mlops.validation_set IS 'validation sets and their newest edition; error: why the last tick could not refresh one';

CREATE VIEW mlops.edition WITH (security_barrier) AS
SELECT e.model, e.validation_set, e.edition, e.event, e.as_of, e.rows, e.pinned, e.rows_in, e.rows_out, e.kept,
       e.rows_read, e.rows_skipped, e.slices, e.time_from, e.time_to, e.fingerprint, e.altered, e.seconds,
       e.refreshed_by, e.refreshed_at
  FROM mlops_catalog.edition AS e
 WHERE mlops.may(e.model, 'read');
COMMENT ON VIEW mlops.edition IS 'editions of validation sets: rows in, out and staying, rows by slice, time range, fingerprint';

CREATE VIEW mlops.slice WITH (security_barrier) AS
SELECT s.model, s.validation_set, s.number, s.name, s.columns, s.value, s.condition, s.min_rows,
       (e.slices OPERATOR(pg_catalog.->>) s.name)::pg_catalog.int8 AS rows, s.author, s.created_at
  FROM mlops_catalog.slice AS s
  JOIN mlops_catalog.validation_set AS v ON v.model OPERATOR(pg_catalog.=) s.model
        AND v.name OPERATOR(pg_catalog.=) s.validation_set
  LEFT JOIN mlops_catalog.edition AS e ON e.model OPERATOR(pg_catalog.=) s.model
        AND e.validation_set OPERATOR(pg_catalog.=) s.validation_set AND e.edition OPERATOR(pg_catalog.=) v.edition
 WHERE mlops.may(s.model, 'read');
COMMENT ON VIEW mlops.slice IS 'sub-populations of validation sets, with their rows in the newest edition';

CREATE VIEW mlops.pin WITH (security_barrier) AS
SELECT p.model, p.validation_set, p.key, p.reason, p.pinned_by, p.pinned_at
  FROM mlops_catalog.pin AS p
 WHERE mlops.may(p.model, 'read');
COMMENT ON VIEW mlops.pin IS 'rows that stay in validation sets, and why';

CREATE VIEW mlops.failure WITH (security_barrier) AS
SELECT f.model, f.key, f.correct_label, f.note, f.annotator, f.reported_by, f.reported_at
  FROM mlops_catalog.failure AS f
 WHERE mlops.may(f.model, 'read');
COMMENT ON VIEW mlops.failure IS 'predictions that were reported as wrong';

-- ---- labels ----

CREATE FUNCTION mlops_label_queue(model text, n integer DEFAULT 20, source text DEFAULT NULL,
       validation_set text DEFAULT NULL, key_column text DEFAULT NULL)
RETURNS TABLE (key text, score float8, reason text, prediction float8, label text)
AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_label_queue(text, integer, text, text, text) IS
'the rows without a label that are most worth labelling: uncertain, versions disagree, thin slices';

CREATE FUNCTION mlops_record_label(model text, key text, label text, note text DEFAULT NULL,
       annotator text DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_record_label(text, text, text, text, text) IS
'gives a row whose source has no label one; refreshes of validation sets use it';

CREATE VIEW mlops.label WITH (security_barrier) AS
SELECT l.model, l.key, l.label, l.note, l.annotator, l.recorded_by, l.recorded_at
  FROM mlops_catalog.label AS l
 WHERE mlops.may(l.model, 'read');
COMMENT ON VIEW mlops.label IS 'labels that people gave to rows whose source has none';
