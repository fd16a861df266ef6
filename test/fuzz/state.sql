-- Changes states of passes at random, as test/fuzz/artifact.sql does with
-- artifacts, and merges, continues and finishes what is still a state:
--     psql -v rounds=100000 -v seed=7 -f test/fuzz/state.sql
-- from the top of the source, as a superuser, in a database with the extension.
-- Prints the outcomes; errors that do not say what is wrong with a state fail.

\set ON_ERROR_STOP on
\set QUIET on
CREATE SCHEMA state_fuzz;
SET search_path = state_fuzz;
SET client_min_messages = warning;
\i test/fuzz/mutate.sql

CREATE TABLE row AS
SELECT (i % 5 > 1)::int::float8 AS y, i % 3 AS c, ARRAY[sin(i) * 3, i * 7 % 13]::float8[] AS x FROM generate_series(1, 200) AS i;
CREATE TEMP TABLE states (i serial, bytes bytea);

-- of every algorithm, and of each fold that it has, the states of its first passes
DO $$
DECLARE
    f record;
    pass mlops.state;
BEGIN
    FOR f IN SELECT p.proname, p.pronargs, v.first
               FROM pg_proc AS p, LATERAL (SELECT NULL::mlops.state AS first UNION ALL
                                           SELECT mlops.pass('logistic_regression', params::jsonb, 3)
                                             FROM unnest(ARRAY['{"l2": 1}', '{"l1": 1}', '{"path": "aic", "path_lambdas": 3}']) AS params
                                            WHERE p.proname = 'logistic_regression_state') AS v
              WHERE p.pronamespace = 'mlops'::regnamespace AND p.prokind = 'a' AND p.proname LIKE '%\_state' AND p.pronargs > 2
              ORDER BY p.proname COLLATE "C" LOOP
        pass := f.first;
        FOR n IN 1 .. 6 LOOP
            BEGIN
                IF f.pronargs = 4 THEN
                    EXECUTE format('SELECT mlops.%I(%s, x, 1, $1) FROM state_fuzz.row', f.proname, CASE WHEN f.first IS NULL THEN 'y' ELSE 'c' END)
                       INTO pass USING pass;
                ELSE
                    EXECUTE format('SELECT mlops.%I(x, 1, $1) FROM state_fuzz.row', f.proname) INTO pass USING pass;
                END IF;
                INSERT INTO states (bytes) VALUES (pass::text::bytea);
                pass := mlops.next(pass);
            EXCEPTION WHEN OTHERS THEN
                RAISE WARNING '% %: %', f.proname, n, SQLERRM;
                EXIT;
            END;
            EXIT WHEN pass IS NULL;
            INSERT INTO states (bytes) VALUES (pass::text::bytea);
        END LOOP;
    END LOOP;
END
$$;

CREATE FUNCTION fuzz_step(bytes bytea, step text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE step USING bytes::text;
    RETURN 'a state';
EXCEPTION WHEN OTHERS THEN
    RETURN CASE WHEN SQLSTATE IN ('ML002', 'ML003', 'ML004', '22003', '22023', '22P02', '54000') THEN SQLSTATE
                ELSE SQLSTATE || ': ' || SQLERRM END;
END
$$;

CREATE TEMP TABLE outcomes AS
SELECT s.step, fuzz_step(f.bytes, s.step) AS outcome, count(*) AS n, min(f.round) AS first_round
  FROM (SELECT round, fuzz_mutate(a.bytes, b.bytes, :seed, round) AS bytes
          FROM generate_series(1, :rounds) AS round, (SELECT count(*) AS n FROM states) AS c,
               LATERAL (SELECT bytes FROM states WHERE i = 1 + fuzz_number(:seed, round, 'state', c.n::int)) AS a,
               LATERAL (SELECT bytes FROM states WHERE i = 1 + fuzz_number(:seed, round, 'other state', c.n::int)) AS b) AS f,
       (VALUES ('SELECT mlops.merge($1::mlops.state, $1::mlops.state)'), ('SELECT mlops.final($1::mlops.state)'),
               ('SELECT mlops.next($1::mlops.state)'),
               -- as the beginning of a pass, if it is one of the algorithm
               ('SELECT mlops.final(mlops.logistic_regression_state(c, x, 1, $1::mlops.state)) FROM state_fuzz.row'),
               ('SELECT mlops.final(mlops.kmeans_state(x, 1, $1::mlops.state)) FROM state_fuzz.row')) AS s (step)
 GROUP BY 1, 2;
DROP SCHEMA state_fuzz CASCADE;
TABLE outcomes ORDER BY step, n DESC;
SELECT 1 / (count(*) = 0)::int AS passed FROM outcomes
 WHERE outcome NOT IN ('a state', 'ML002', 'ML003', 'ML004', '22003', '22023', '22P02', '54000');
