-- Imports changed documents of every stored version at random, as
-- test/fuzz/artifact.sql does with artifacts:
--     psql -v rounds=100000 -v seed=7 -f test/fuzz/import.sql
-- from the top of the source, as a superuser, in a database where models have
-- been trained. Prints the outcomes; errors other than those that say what is
-- wrong with the document fail.

\set ON_ERROR_STOP on
\set QUIET on
CREATE SCHEMA import_fuzz;
SET search_path = import_fuzz;

CREATE FUNCTION fuzz_number(seed int, round int, draw text, below bigint) RETURNS int
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN below <= 0 THEN 0 ELSE
           ((('x' || substr(md5(seed || ':' || round || ':' || draw), 1, 15))::bit(60)::bigint) % below)::int END
$$;

-- what is in a document, at any depth; of long arrays the first elements
CREATE FUNCTION fuzz_paths(document jsonb, OUT path text[], OUT value jsonb) RETURNS SETOF record
LANGUAGE sql IMMUTABLE AS $$
    WITH RECURSIVE part AS (
        SELECT '{}'::text[] AS path, document AS value
        UNION ALL
        SELECT p.path || c.key, c.value
          FROM part AS p, LATERAL (
               SELECT k.key, k.value
                 FROM jsonb_each(CASE jsonb_typeof(p.value) WHEN 'object' THEN p.value ELSE '{}' END) AS k
               UNION ALL
               SELECT (a.i - 1)::text, a.value
                 FROM jsonb_array_elements(CASE jsonb_typeof(p.value) WHEN 'array' THEN p.value ELSE '[]' END)
                      WITH ORDINALITY AS a (value, i)
                WHERE a.i <= 8) AS c)
    SELECT path, value FROM part WHERE path <> '{}'
$$;

CREATE FUNCTION fuzz_document(seed int, round int) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    result jsonb;
    chosen text[];
    given jsonb;
    extremes jsonb[] := ARRAY['0', '-1', '1', '2', '31', '100000000', '2147483647', '2147483648', '-2147483648', '1e308',
                              '1e400', '-1e-320', '0.5', 'null', 'true', 'false', '""', '"x"', '"NaN"', '"Infinity"', '[]',
                              '{}', '[[[[]]]]', '{"kind": "trees"}', '[0]', '[null]', '[1e300, -1e300]'];
BEGIN
    SELECT d.document INTO result FROM documents AS d
     WHERE d.i = 1 + fuzz_number(seed, round, 'document', (SELECT count(*) FROM documents));
    FOR change IN 0 .. fuzz_number(seed, round, 'changes', 3) LOOP
        SELECT p.path, p.value INTO chosen, given FROM fuzz_paths(result) AS p
         ORDER BY md5(seed || ':' || round || ':' || change || ':' || p.path::text) LIMIT 1;
        CASE fuzz_number(seed, round, 'kind' || change, 5)
            WHEN 0 THEN                         -- left out
                result := result #- chosen;
            WHEN 1, 2 THEN                      -- another value
                result := jsonb_set(result, chosen, extremes[1 + fuzz_number(seed, round, 'extreme' || change, cardinality(extremes))]);
            WHEN 3 THEN                         -- the value of another part
                result := jsonb_set(result, chosen, (SELECT p.value FROM fuzz_paths(result) AS p
                                                      ORDER BY md5(seed || ':' || round || ':other:' || p.path::text) LIMIT 1));
            ELSE                                -- twice, if it is an element
                IF chosen[cardinality(chosen)] ~ '^[0-9]+$' AND
                   jsonb_typeof(result #> chosen[:cardinality(chosen) - 1]) = 'array' THEN
                    result := jsonb_insert(result, chosen, given);
                END IF;
        END CASE;
        EXIT WHEN result IS NULL OR jsonb_typeof(result) NOT IN ('object', 'array');
    END LOOP;
    RETURN result;
END
$$;

-- the version that was imported scores, explains and is written out again
CREATE FUNCTION fuzz_import(document jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    message text;
BEGIN
    BEGIN
        PERFORM mlops_import('fuzzed', document, options => '{"target": "y"}');
        PERFORM mlops_export('fuzzed/1', 'json');
        RAISE EXCEPTION 'undo' USING ERRCODE = 'ZZ000';
    EXCEPTION WHEN SQLSTATE 'ZZ000' THEN
        RETURN 'a model';
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
        RETURN CASE WHEN SQLSTATE IN ('22023', '22003', 'ML004', '0A000') THEN SQLSTATE
                    ELSE SQLSTATE || ': ' || message END;
    END;
END
$$;

CREATE FUNCTION fuzz_export(reference text, format text) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
    RETURN mlops_export(reference, format)::jsonb;
EXCEPTION WHEN feature_not_supported THEN
    RETURN NULL;
END
$$;

SET client_min_messages = warning;
CREATE TEMP TABLE documents AS
SELECT row_number() OVER (ORDER BY e.reference COLLATE "C", e.format COLLATE "C") AS i, e.document
  FROM (SELECT v.model || '/' || v.version AS reference, f.format,
               fuzz_export(v.model || '/' || v.version, f.format) AS document
          FROM mlops_catalog.version AS v, (VALUES ('json'), ('xgboost')) AS f (format)) AS e
 WHERE e.document IS NOT NULL AND length(e.document::text) < 100000;
CREATE TEMP TABLE outcomes AS
SELECT fuzz_import(fuzz_document(:seed, round)) AS outcome, count(*) AS n, min(round) AS first_round
  FROM generate_series(1, :rounds) AS round
 GROUP BY 1;
DROP SCHEMA import_fuzz CASCADE;
TABLE outcomes ORDER BY n DESC;
SELECT 1 / (count(*) = 0)::int AS passed FROM outcomes
 WHERE outcome NOT IN ('a model', '22023', '22003', 'ML004', '0A000');
