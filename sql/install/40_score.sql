-- Scoring: three results times five inputs times three types of key.
--
-- Every overload takes the key, and only the one of text leaves it out:
-- otherwise mlops_predict('m', '{"a": 1}', 'k') would not be unique.
-- STABLE: a statement scores all of its rows with what its snapshot sees.
-- Not strict: NULL input scores NULL, a NULL model is an error.

-- the planner's part: takes rows of tables apart into the functions below
CREATE FUNCTION mlops.predict_support(internal) RETURNS internal
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'mlops_predict_support';
COMMENT ON FUNCTION mlops.predict_support(internal) IS 'planner support: passes the columns of a row instead of the row';

CREATE FUNCTION mlops.predict_columns(model text, key "any", names text[], VARIADIC columns "any") RETURNS float8
    LANGUAGE c STABLE PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'mlops_predict_columns';
COMMENT ON FUNCTION mlops.predict_columns(text, "any", text[], "any") IS 'what the planner makes of mlops_predict on a row; not to be called';

CREATE FUNCTION mlops.predict_label_columns(model text, key "any", names text[], VARIADIC columns "any") RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'mlops_predict_label_columns';
COMMENT ON FUNCTION mlops.predict_label_columns(text, "any", text[], "any") IS 'what the planner makes of mlops_predict_label on a row; not to be called';

CREATE FUNCTION mlops.predict_proba_columns(model text, key "any", names text[], VARIADIC columns "any") RETURNS jsonb
    LANGUAGE c STABLE PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'mlops_predict_proba_columns';
COMMENT ON FUNCTION mlops.predict_proba_columns(text, "any", text[], "any") IS 'what the planner makes of mlops_predict_proba on a row; not to be called';

DO $$
DECLARE
    f record;
BEGIN
    FOR f IN
        SELECT r.name, r.result, r.meaning,
               i.type AS input, i.suffix, i.form, i.cost,
               k.type AS key, k.fallback,
               CASE i.suffix WHEN 'record' THEN ' SUPPORT mlops.predict_support' ELSE '' END AS support
          FROM (VALUES ('mlops_predict', 'float8', 'regression value or probability of the positive class'),
                       ('mlops_predict_label', 'text', 'class at the threshold that serves'),
                       ('mlops_predict_proba', 'jsonb', 'probability of every class'))
               AS r (name, result, meaning),
               (VALUES ('record', 'record', 'a row', 20), ('json', 'json', 'a JSON object', 200),
                       ('jsonb', 'jsonb', 'a JSON object', 100),
                       ('text', 'text', 'a JSON object or an array literal, as text', 200),
                       ('float8[]', 'array', 'the numbers of all columns in order', 20))
               AS i (type, suffix, form, cost),
               (VALUES ('text', ' DEFAULT NULL'), ('bigint', ''), ('uuid', '')) AS k (type, fallback)
    LOOP
        EXECUTE pg_catalog.format(
            'CREATE FUNCTION %1$s(model text, input %2$s, key %3$s%4$s) RETURNS %5$s '
            'LANGUAGE c STABLE PARALLEL SAFE COST %6$s%7$s AS %8$L, %9$L',
            f.name, f.input, f.key, f.fallback, f.result, f.cost, f.support,
            'MODULE_PATHNAME', f.name || '_' || f.suffix);
        EXECUTE pg_catalog.format(
            'COMMENT ON FUNCTION %s(text, %s, %s) IS %L',
            f.name, f.input, f.key, f.meaning || ', scored from ' || f.form);
    END LOOP;
END
$$;

CREATE FUNCTION mlops_predict_all(model text, input record,
    OUT role text, OUT version integer, OUT prediction float8, OUT label text) RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL SAFE COST 100 ROWS 2
    AS 'MODULE_PATHNAME', 'mlops_predict_all_record';
COMMENT ON FUNCTION mlops_predict_all(text, record) IS 'what every version that has a role makes of a row';

CREATE FUNCTION mlops_predict_all(model text, input json,
    OUT role text, OUT version integer, OUT prediction float8, OUT label text) RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL SAFE COST 300 ROWS 2
    AS 'MODULE_PATHNAME', 'mlops_predict_all_json';
COMMENT ON FUNCTION mlops_predict_all(text, json) IS 'what every version that has a role makes of a JSON object';

CREATE FUNCTION mlops_predict_all(model text, input jsonb,
    OUT role text, OUT version integer, OUT prediction float8, OUT label text) RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL SAFE COST 300 ROWS 2
    AS 'MODULE_PATHNAME', 'mlops_predict_all_jsonb';
COMMENT ON FUNCTION mlops_predict_all(text, jsonb) IS 'what every version that has a role makes of a JSON object';

CREATE FUNCTION mlops_predict_all(model text, input text,
    OUT role text, OUT version integer, OUT prediction float8, OUT label text) RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL SAFE COST 300 ROWS 2
    AS 'MODULE_PATHNAME', 'mlops_predict_all_text';
COMMENT ON FUNCTION mlops_predict_all(text, text) IS 'what every version that has a role makes of a JSON object or an array literal';

CREATE FUNCTION mlops_predict_all(model text, input float8[],
    OUT role text, OUT version integer, OUT prediction float8, OUT label text) RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL SAFE COST 100 ROWS 2
    AS 'MODULE_PATHNAME', 'mlops_predict_all_array';
COMMENT ON FUNCTION mlops_predict_all(text, float8[]) IS 'what every version that has a role makes of the numbers of all columns in order';

-- what features add to a score, and where rows lie in the space that a model made
DO $$
DECLARE
    i record;
BEGIN
    FOR i IN
        SELECT * FROM (VALUES ('record', 'record', 'a row', 20), ('json', 'json', 'a JSON object', 200),
                              ('jsonb', 'jsonb', 'a JSON object', 100),
                              ('text', 'text', 'a JSON object or an array literal, as text', 200),
                              ('float8[]', 'array', 'the numbers of all columns in order', 20))
               AS i (type, suffix, form, cost)
    LOOP
        EXECUTE pg_catalog.format(
            'CREATE FUNCTION mlops_explain(model text, input %1$s, class text DEFAULT NULL, key text DEFAULT NULL, '
            'OUT feature text, OUT value text, OUT contribution float8) RETURNS SETOF record '
            'LANGUAGE c STABLE PARALLEL SAFE COST %2$s ROWS 20 AS %3$L, %4$L',
            i.type, i.cost * 10, 'MODULE_PATHNAME', 'mlops_explain_' || i.suffix);
        EXECUTE pg_catalog.format(
            'COMMENT ON FUNCTION mlops_explain(text, %s, text, text) IS %L', i.type,
            'what each feature adds to the score of ' || i.form || '; with the row "(base)" the contributions add up to the '
            'linear predictor: the value for regression, log-odds for a logit link, before any calibration');
        EXECUTE pg_catalog.format(
            'CREATE FUNCTION mlops_transform(model text, input %1$s) RETURNS float8[] '
            'LANGUAGE c STABLE PARALLEL SAFE COST %2$s AS %3$L, %4$L',
            i.type, i.cost, 'MODULE_PATHNAME', 'mlops_transform_' || i.suffix);
        EXECUTE pg_catalog.format(
            'COMMENT ON FUNCTION mlops_transform(text, %s) IS %L', i.type,
            'coordinates on components, distances to centres or units of the last hidden layer, of ' || i.form);
    END LOOP;
END
$$;

-- which rows a canary serves: those whose position is below its share
DO $$
DECLARE
    key text;
BEGIN
    FOREACH key IN ARRAY ARRAY['text', 'bigint', 'uuid'] LOOP
        EXECUTE pg_catalog.format(
            'CREATE FUNCTION mlops_canary_position(model text, key %s) RETURNS float8 '
            'LANGUAGE c STABLE STRICT PARALLEL SAFE COST 10 AS %L, %L', key, 'MODULE_PATHNAME', 'mlops_canary_position_key');
        EXECUTE pg_catalog.format(
            'COMMENT ON FUNCTION mlops_canary_position(text, %s) IS %L', key,
            'the place of a key in [0, 1): a canary serves it if that is below its share');
    END LOOP;
END
$$;

CREATE FUNCTION mlops_canary_position(model text, input record) RETURNS float8
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'mlops_canary_position_row';
COMMENT ON FUNCTION mlops_canary_position(text, record) IS
'the place in [0, 1) of a row that is scored without a key';
