-- mlops_bundle(model) is what serves of a model as a value: version, threshold
-- and artifact. mlops_predict(bundle, row) needs nothing else, reads no table and
-- is immutable, so that it runs where the registry is not: on foreign servers,
-- on the workers of a cluster, in generated columns.
CREATE SCHEMA bundle;
SET search_path = bundle;
SET client_min_messages = warning;
\set SHOW_CONTEXT never

CREATE TABLE t (id int PRIMARY KEY, a float8, b int, plan text, town text, since date, churned text, y numeric);
INSERT INTO t
SELECT i, i % 11, i % 7, (ARRAY['basic', 'pro'])[1 + i % 2], 'a town of a long enough name ' || i % 20, date '2024-01-01' + i,
       CASE WHEN i % 11 + i % 3 > i % 7 THEN 'yes' ELSE 'no' END, 3 + 2 * (i % 11) - i % 7
  FROM generate_series(1, 200) AS i;
SELECT mlops_train_now('line', 'SELECT a, b, y FROM bundle.t', 'y');
SELECT mlops_train_now('churn', 'SELECT a, b, plan, town, since, churned FROM bundle.t', 'churned',
                       params => '{"l2": 1}');
SELECT version FROM mlops_promote('line', 1);
SELECT version FROM mlops_promote('churn', 1, threshold => 0.7);

-- the same scores, to the bit, from whatever input
SELECT bool_and(mlops_predict((SELECT mlops_bundle('line')), t) = mlops_predict('line', t)) AS value,
       bool_and(mlops_predict((SELECT mlops_bundle('churn')), t) = mlops_predict('churn', t)) AS probability,
       bool_and(mlops_predict_label((SELECT mlops_bundle('churn')), t) = mlops_predict_label('churn', t)) AS label,
       bool_and(mlops_predict_proba((SELECT mlops_bundle('churn')), t) = mlops_predict_proba('churn', t)) AS proba,
       bool_and(mlops_predict((SELECT mlops_bundle('churn')), to_jsonb(t)) = mlops_predict('churn', t)) AS jsonb,
       bool_and(mlops_predict((SELECT mlops_bundle('churn')), to_json(t)) = mlops_predict('churn', t)) AS json,
       bool_and(mlops_predict((SELECT mlops_bundle('churn')), row_to_json(t)::text) = mlops_predict('churn', t)) AS text,
       bool_and(mlops_predict((SELECT mlops_bundle('line')), ARRAY[a, b]) = mlops_predict('line', t)) AS array
  FROM t;
SELECT mlops_predict(mlops_bundle('line'), '{"a": 1, "b": 2}')::numeric(9, 6) AS literal,
       mlops_predict(mlops_bundle('line'), NULL::t) IS NULL AS null_row;

-- any reference: the active version, a version by its number, an alias
SELECT mlops_set_alias('line', 'fallback', 1);
SELECT mlops_bundle('line')::text = mlops_bundle('line/1')::text AS number,
       mlops_bundle('line')::text = mlops_bundle('line@fallback')::text AS alias;

-- The threshold is part of it: the label follows what served when it was made.
CREATE TABLE saved AS SELECT mlops_bundle('churn') AS bundle;
SELECT version FROM mlops_promote('churn', 1, threshold => 0.2);
SELECT count(*) FILTER (WHERE mlops_predict_label(bundle, t) = 'yes') <
       count(*) FILTER (WHERE mlops_predict_label('churn', t) = 'yes') AS stricter FROM t, saved;

-- It outlives its model: only making one asks for a privilege.
SELECT mlops_drop_model('churn', force => true);
SELECT count(mlops_predict(bundle, t)) FROM t, saved;
SELECT mlops_bundle('churn');
\echo :LAST_ERROR_SQLSTATE
CREATE ROLE regress_bundle_reader;
GRANT USAGE ON SCHEMA bundle TO regress_bundle_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA bundle TO regress_bundle_reader;
SET ROLE regress_bundle_reader;
SELECT mlops_bundle('line');
\echo :LAST_ERROR_SQLSTATE
SELECT count(mlops_predict(bundle, t)) FROM t, saved;
RESET ROLE;

-- Immutable and safe in parallel workers; mlops_bundle itself, which reads the
-- registry, is neither.
SELECT DISTINCT proname COLLATE "C" AS name, provolatile, proparallel FROM pg_proc
 WHERE pronamespace = 'pg_catalog'::regnamespace AND proname LIKE 'mlops\_%'
   AND (proname = 'mlops_bundle' OR proargtypes[0] = 'mlops.bundle'::regtype) ORDER BY 1;
-- The planner takes the row apart; the bundle is made once, by the leader.
BEGIN;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
CREATE FUNCTION plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF, VERBOSE) ' || query;
END
$$;
SELECT count(*) FILTER (WHERE line LIKE '%Gather%') AS gathers,
       count(*) FILTER (WHERE line LIKE '%PARTIAL sum(mlops.bundle_predict_columns(%town, t.since%') > 0 AS columns,
       count(*) FILTER (WHERE line LIKE '%mlops_bundle(%') AS bundles
  FROM plan($$SELECT sum(mlops_predict((SELECT mlops_bundle('line')), t)) FROM t$$) AS line;
SELECT abs(sum(mlops_predict((SELECT mlops_bundle('line')), t)) - sum(y)) < 1e-6 AS recovered FROM t;
COMMIT;

-- in a column that is generated
DO $$
BEGIN
    EXECUTE format('CREATE TABLE scored (a float8, b int, p float8 GENERATED ALWAYS AS '
                   '(mlops_predict(%L::mlops.bundle, ARRAY[a, b])) STORED)', mlops_bundle('line'));
END
$$;
INSERT INTO scored VALUES (1, 2), (10, 4);
SELECT a, b, round(p::numeric, 6) AS p FROM scored;

-- stored out of line it is found by its header; rows may bring different ones
CREATE TABLE several (n int, bundle mlops.bundle);
INSERT INTO several SELECT 1, mlops_bundle('line') UNION ALL SELECT 2, bundle FROM saved;
SELECT n, pg_column_size(bundle) > 2000 AS out_of_line, count(mlops_predict(bundle, t)) FROM several, t GROUP BY n, bundle::text, 2 ORDER BY n;
CREATE TABLE turns AS
SELECT n, mlops_predict(bundle, row) AS p, row FROM (SELECT n, bundle, t AS row FROM several, t ORDER BY t.id, n) AS q;
SELECT bool_and(p = mlops_predict('line', row)) AS by_turns FROM turns WHERE n = 1;

-- Text and binary form carry every byte.
CREATE TABLE copied AS SELECT bundle::text::mlops.bundle FROM saved;
SELECT s.bundle::text = c.bundle::text AS text FROM saved AS s, copied AS c;
SELECT current_setting('data_directory') || '/bundle_test.copy' AS file \gset
COPY saved TO :'file' (FORMAT binary);
TRUNCATE copied;
COPY copied FROM :'file' (FORMAT binary);
SELECT s.bundle::text = c.bundle::text AS "binary" FROM saved AS s, copied AS c;

-- ---- refused ----

SELECT mlops_predict(NULL::mlops.bundle, '{"a": 1, "b": 2}');
SELECT mlops_bundle(NULL);
SELECT mlops_predict_label(mlops_bundle('line'), '{"a": 1, "b": 2}');
SELECT mlops_predict(mlops_bundle('line'), '{"a": 1}');

-- bytes that are none
SELECT ''::mlops.bundle;
SELECT '\x0'::mlops.bundle;
SELECT '\x0g'::mlops.bundle;
\echo :LAST_ERROR_SQLSTATE
SELECT '\x00'::mlops.bundle;
\echo :LAST_ERROR_SQLSTATE
CREATE FUNCTION changed(at int, patch bytea) RETURNS mlops.bundle LANGUAGE sql AS $$
    SELECT overlay(mlops.bundle_send(bundle) PLACING patch FROM at + 1)::text::mlops.bundle FROM saved
$$;
SELECT changed(0, '\x00');
SELECT changed(8, '\x04');                      -- a format of the future
SELECT changed(12, '\x00000000');               -- version 0
SELECT changed(48, '\x000000000000f87f');       -- a threshold that is no number
SELECT changed(56, '\x03');                     -- two tasks
SELECT changed(56, '\x01');                     -- not the model's
SELECT changed(64, '\xff');                     -- no text
SELECT changed(68, '\x58') IS NULL AS null;                -- a longer name is another, harmless one
SELECT changed(100, '\x58');                    -- something behind the name
-- other bytes than the checksum says
\set VERBOSITY terse
SELECT changed(20, '\x00000000');
SELECT changed(300, '\x00000000');
\set VERBOSITY default

-- whatever bytes: a bundle, ML004, or text that is no hexadecimal number
\set ECHO none
\i test/fuzz/mutate.sql
\set ECHO all
CREATE OR REPLACE FUNCTION fuzz_read(bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM mlops_predict(bytes::text::mlops.bundle, '{"a": 1, "b": 2, "plan": "pro", "town": "a town of a long enough name 1", "since": "2024-05-05"}');
    RETURN 'a model';
EXCEPTION WHEN OTHERS THEN
    RETURN CASE WHEN SQLSTATE = 'ML004' THEN SQLSTATE ELSE SQLSTATE || ': ' || SQLERRM END;
END
$$;
SELECT DISTINCT outcome COLLATE "C" AS outcome
  FROM fuzz_artifacts(ARRAY(SELECT mlops.bundle_send(bundle) FROM several ORDER BY n), 600, 3)
 WHERE outcome NOT IN ('a model', 'ML004');
-- with a checksum that fits, so that the artifact's reader meets the bytes too
CREATE OR REPLACE FUNCTION fuzz_read(bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    whole bytea;
BEGIN
    SELECT substr(b, 1, 16) || sha256(bytes) || substr(b, 49, 80) || bytes INTO whole
      FROM (SELECT mlops.bundle_send(bundle) AS b FROM several WHERE n = 2) AS q;
    PERFORM mlops_predict(whole::text::mlops.bundle, '{"a": 1, "b": 2, "plan": "pro", "town": "a town of a long enough name 1", "since": "2024-05-05"}');
    RETURN 'a model';
EXCEPTION WHEN OTHERS THEN
    RETURN CASE WHEN SQLSTATE = 'ML004' THEN SQLSTATE ELSE SQLSTATE || ': ' || SQLERRM END;
END
$$;
SELECT DISTINCT left(outcome, 5) COLLATE "C" AS outcome
  FROM fuzz_artifacts(ARRAY(SELECT substr(mlops.bundle_send(bundle), 129) FROM several ORDER BY n), 600, 4) ORDER BY 1;

SET client_min_messages = error;
DROP SCHEMA bundle CASCADE;
DROP ROLE regress_bundle_reader;
SELECT mlops_drop_model('line', force => true);
