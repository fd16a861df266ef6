-- Changes every stored artifact of a database at random, for longer than a
-- regression test would:
--     psql -v rounds=1000000 -v seed=7 -f test/fuzz/artifact.sql
-- from the top of the source, as a superuser, in a database where models have
-- been trained. Prints the outcomes; anything but 'a model' and 'ML004' fails.

\set ON_ERROR_STOP on
\set QUIET on
CREATE SCHEMA artifact_fuzz;
SET search_path = artifact_fuzz;
\i test/fuzz/mutate.sql
CREATE TEMP TABLE outcomes AS
SELECT * FROM fuzz_artifacts(ARRAY(SELECT string_agg(data, '' ORDER BY part) FROM mlops_catalog.artifact
                                    GROUP BY model, version ORDER BY model, version),
                             :rounds, :seed);
SET client_min_messages = warning;
DROP SCHEMA artifact_fuzz CASCADE;
TABLE outcomes;
SELECT 1 / (count(*) = 0)::int AS passed FROM outcomes WHERE outcome NOT IN ('a model', 'ML004');
