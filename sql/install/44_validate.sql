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
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
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
