-- Changes states of metrics at random, as test/fuzz/state.sql does with those of
-- passes, and merges and finishes what is still a state:
--     psql -v rounds=100000 -v seed=7 -f test/fuzz/metric_state.sql
-- from the top of the source, as a superuser, in a database with the extension.
-- Prints the outcomes; errors that do not say what is wrong with a state fail.

\set ON_ERROR_STOP on
\set QUIET on
CREATE SCHEMA metric_state_fuzz;
SET search_path = metric_state_fuzz;
SET client_min_messages = warning;
\i test/fuzz/mutate.sql

CREATE TABLE row AS
SELECT i, (i * 7919 % 101) / 101.0::float8 AS p, i % 3 = 0 AS y, 1 + (i % 5) / 2.0::float8 AS w, 'c' || i % 3 AS said, 'c' || i % 7 % 3 AS class
  FROM generate_series(1, 60) AS i;
CREATE TEMP TABLE states (i serial, bytes bytea);

-- of every aggregate that makes a state, without its number, share or class where it takes one
DO $$
DECLARE
    f record;
    state mlops.metric_state;
BEGIN
    FOR f IN SELECT p.proname, array_to_string(ARRAY(
                        SELECT CASE a.name WHEN 'label' THEN CASE a.type WHEN 'boolean' THEN 'y' WHEN 'text' THEN 'class' WHEN 'integer' THEN '1 + i % 2' ELSE 'w' END
                                           WHEN 'prediction' THEN CASE a.type WHEN 'text' THEN 'said' WHEN 'jsonb' THEN 'jsonb_build_object(''c0'', p, ''c1'', 1 - p)'
                                                                              WHEN 'double precision[]' THEN 'ARRAY[p, 1 - p]' ELSE 'p' END
                                           WHEN 'score' THEN 'p' WHEN 'point' THEN 'ARRAY[p, w]' WHEN 'cluster' THEN 'i % 3' WHEN 'k' THEN '2' WHEN 'positive' THEN '''c1'''
                                           WHEN 'weight' THEN 'w' ELSE '0.3' END
                          FROM unnest(p.proargnames, p.proargtypes::oid[]) WITH ORDINALITY AS u (name, oid, n),
                               LATERAL (SELECT u.name, format_type(u.oid, NULL) AS type) AS a ORDER BY u.n), ', ') AS arguments
               FROM pg_proc AS p
              WHERE p.prokind = 'a' AND p.proname LIKE 'mlops\_%\_state' AND p.pronamespace = 'pg_catalog'::regnamespace
              ORDER BY p.oid LOOP
        EXECUTE format('SELECT %I(%s) FROM row', f.proname, f.arguments) INTO state;
        INSERT INTO states (bytes) VALUES (state::text::bytea);
    END LOOP;
    -- bins
    SELECT mlops_roc_auc_state((n * 7919::bigint % 1200007) / 1200007.0, n % 3 = 0) INTO state FROM generate_series(1, 1000100) AS n;
    INSERT INTO states (bytes) VALUES (substr(state::text::bytea, 1, 72) || substr(state::text::bytea, 73, 8 + 24 * 40) || substr(state::text::bytea, length(state::text::bytea) - 39));
END
$$;

CREATE FUNCTION fuzz_step(bytes bytea, step text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE step USING bytes::text;
    RETURN 'a state';
EXCEPTION WHEN OTHERS THEN
    RETURN CASE WHEN SQLSTATE IN ('ML004', '2202E', '22003', '22023', '22P02', '54000') THEN SQLSTATE
                ELSE SQLSTATE || ': ' || SQLERRM END;
END
$$;

CREATE TEMP TABLE outcomes AS
SELECT s.step, fuzz_step(f.bytes, s.step) AS outcome, count(*) AS n, min(f.round) AS first_round
  FROM (SELECT round, fuzz_mutate(a.bytes, b.bytes, :seed, round) AS bytes
          FROM generate_series(1, :rounds) AS round, (SELECT count(*) AS n FROM states) AS c,
               LATERAL (SELECT bytes FROM states WHERE i = 1 + fuzz_number(:seed, round, 'state', c.n::int)) AS a,
               LATERAL (SELECT bytes FROM states WHERE i = 1 + fuzz_number(:seed, round, 'other state', c.n::int)) AS b) AS f,
       (VALUES ('SELECT mlops.merge($1::mlops.metric_state, $1::mlops.metric_state)'), ('SELECT mlops.final($1::mlops.metric_state)')) AS s (step)
 GROUP BY 1, 2;
DROP SCHEMA metric_state_fuzz CASCADE;
TABLE outcomes ORDER BY step, n DESC;
SELECT 1 / (count(*) = 0)::int AS passed FROM outcomes WHERE outcome NOT IN ('a state', 'ML004', '2202E', '22003', '22023', '22P02', '54000');
