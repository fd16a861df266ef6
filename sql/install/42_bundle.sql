-- What serves of a model as a value: resolved once, then scored with anywhere.
--
-- mlops_bundle reads the registry of its own server, and says so: it is neither
-- immutable nor safe in parallel workers. What takes a bundle reads nothing.

CREATE TYPE mlops.bundle;

CREATE FUNCTION mlops.bundle_in(cstring) RETURNS mlops.bundle
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'mlops_bundle_in';
COMMENT ON FUNCTION mlops.bundle_in(cstring) IS 'a bundle from its text';

CREATE FUNCTION mlops.bundle_out(mlops.bundle) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'mlops_bundle_out';
COMMENT ON FUNCTION mlops.bundle_out(mlops.bundle) IS 'a bundle as text: its bytes in hexadecimal digits';

CREATE FUNCTION mlops.bundle_recv(internal) RETURNS mlops.bundle
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'mlops_bundle_recv';
COMMENT ON FUNCTION mlops.bundle_recv(internal) IS 'a bundle from its bytes';

CREATE FUNCTION mlops.bundle_send(mlops.bundle) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'mlops_bundle_send';
COMMENT ON FUNCTION mlops.bundle_send(mlops.bundle) IS 'the bytes of a bundle';

-- external: an artifact gains little from compression, and a slice of it is read for every row
CREATE TYPE mlops.bundle (
    INPUT = mlops.bundle_in, OUTPUT = mlops.bundle_out,
    RECEIVE = mlops.bundle_recv, SEND = mlops.bundle_send,
    INTERNALLENGTH = VARIABLE, ALIGNMENT = int4, STORAGE = external
);
COMMENT ON TYPE mlops.bundle IS 'what serves of a model: version, threshold and artifact; see mlops_bundle()';

CREATE FUNCTION mlops_bundle(model text) RETURNS mlops.bundle
    LANGUAGE c STABLE PARALLEL RESTRICTED COST 1000
    AS 'MODULE_PATHNAME', 'mlops_bundle';
COMMENT ON FUNCTION mlops_bundle(text) IS 'what a reference stands for, as a value to score with anywhere';

DO $$
DECLARE
    f record;
BEGIN
    FOR f IN
        SELECT * FROM (VALUES ('predict', 'float8', 'regression value or probability of the positive class', 20),
                              ('predict_label', 'text', 'class at the threshold of the bundle', 20),
                              ('predict_proba', 'jsonb', 'probability of every class', 100))
                      AS r (name, result, meaning, cost),
                      (VALUES ('record', 'record', 'a row', 0), ('json', 'json', 'a JSON object', 200),
                              ('jsonb', 'jsonb', 'a JSON object', 100),
                              ('text', 'text', 'a JSON object or an array literal, as text', 200),
                              ('float8[]', 'array', 'the numbers of all columns in order', 0))
                      AS i (type, suffix, form, more)
    LOOP
        EXECUTE pg_catalog.format(
            'CREATE FUNCTION mlops_%1$s(bundle mlops.bundle, input %2$s) RETURNS %3$s '
            'LANGUAGE c IMMUTABLE PARALLEL SAFE COST %4$s%5$s AS %6$L, %7$L',
            f.name, f.type, f.result, f.cost OPERATOR(pg_catalog.+) f.more,
            CASE f.suffix WHEN 'record' THEN ' SUPPORT mlops.predict_support' ELSE '' END,
            'MODULE_PATHNAME', 'mlops_bundle_' || f.name || '_' || f.suffix);
        EXECUTE pg_catalog.format(
            'COMMENT ON FUNCTION mlops_%s(mlops.bundle, %s) IS %L',
            f.name, f.type, f.meaning || ' by a bundle, scored from ' || f.form);
        IF f.suffix = 'record' THEN
            EXECUTE pg_catalog.format(
                'CREATE FUNCTION mlops.bundle_%1$s_columns(bundle mlops.bundle, names text[], VARIADIC columns "any") '
                'RETURNS %2$s LANGUAGE c IMMUTABLE PARALLEL SAFE COST %3$s AS %4$L, %5$L',
                f.name, f.result, f.cost, 'MODULE_PATHNAME', 'mlops_bundle_' || f.name || '_columns');
            EXECUTE pg_catalog.format(
                'COMMENT ON FUNCTION mlops.bundle_%s_columns(mlops.bundle, text[], "any") IS %L',
                f.name, 'what the planner makes of mlops_' || f.name || ' with a bundle on a row; not to be called');
        END IF;
    END LOOP;
END
$$;

-- What a training in SQL asks of each row. VARIADIC "any" is for plain functions
-- only: aggregates get what these return.

CREATE FUNCTION mlops.row_parts(names text[], VARIADIC columns "any") RETURNS bigint[]
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'mlops_row_parts';
COMMENT ON FUNCTION mlops.row_parts(text[], "any") IS 'the fingerprint of a row in four parts; for queries that mlops makes';

CREATE FUNCTION mlops.row_held_out(seed bigint, holdout float8, key "any", names text[], VARIADIC columns "any") RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'mlops_row_held_out';
COMMENT ON FUNCTION mlops.row_held_out(bigint, float8, "any", text[], "any") IS 'does a training hold the row out; for queries that mlops makes';

CREATE FUNCTION mlops.row_design(bundle mlops.bundle, names text[], VARIADIC columns "any") RETURNS float8[]
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'mlops_row_design';
COMMENT ON FUNCTION mlops.row_design(mlops.bundle, text[], "any") IS 'the numbers that a learner sees of a row; for queries that mlops makes';

CREATE FUNCTION mlops.row_encoded(bundle mlops.bundle, names text[], VARIADIC columns "any") RETURNS float8[]
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'mlops_row_encoded';
COMMENT ON FUNCTION mlops.row_encoded(mlops.bundle, text[], "any") IS 'the numbers and codes that a row becomes; for queries that mlops makes';

CREATE FUNCTION mlops.row_label(bundle mlops.bundle, target "any") RETURNS float8
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'mlops_row_label';
COMMENT ON FUNCTION mlops.row_label(mlops.bundle, "any") IS 'the label that a learner sees of a row; for queries that mlops makes';

CREATE FUNCTION mlops.row_outputs(bundle mlops.bundle, names text[], VARIADIC columns "any") RETURNS float8[]
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'mlops_row_outputs';
COMMENT ON FUNCTION mlops.row_outputs(mlops.bundle, text[], "any") IS 'what a model says of a row, the probability of each of several classes; for queries that mlops makes';

CREATE FUNCTION mlops.row_loss(bundle mlops.bundle, names text[], VARIADIC columns "any") RETURNS float8[]
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'mlops_row_loss';
COMMENT ON FUNCTION mlops.row_loss(mlops.bundle, text[], "any") IS 'what a row loses in a model without a target; for queries that mlops makes';

CREATE FUNCTION mlops.row_usec(value "any") RETURNS bigint
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'mlops_row_usec';
COMMENT ON FUNCTION mlops.row_usec("any") IS 'a time in microseconds; for queries that mlops makes';

CREATE FUNCTION mlops.row_length(value "any") RETURNS integer
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'mlops_row_length';
COMMENT ON FUNCTION mlops.row_length("any") IS 'how many numbers an array has; for queries that mlops makes';

CREATE FUNCTION mlops.row_complete(value "any") RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'mlops_row_complete';
COMMENT ON FUNCTION mlops.row_complete("any") IS 'is an array without NULLs; for queries that mlops makes';
