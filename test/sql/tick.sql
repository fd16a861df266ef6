-- CALL mlops_tick() refreshes the sets that are due: every set at its interval,
-- with the time of the call. A set that fails is told and recorded, the others go on.
-- What is in use is evaluated on every new edition: quality over time is a query.
CREATE SCHEMA ml_tick;
SET search_path = ml_tick;
SET timezone = 'UTC';
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE TABLE visit AS SELECT i AS n, timestamptz '2026-01-01' + i * interval '1 hour' AS at, i % 3 = 0 AS bought FROM generate_series(1, 1000) AS i;
CREATE TABLE doomed AS TABLE visit;
SELECT mlops_create_model('buys', target => 'bought');
SELECT mlops_create_validation_set('buys', 'each tick', 'visit', key => 'n', time_column => 'at', period => '7 days');
SELECT mlops_create_validation_set('buys', 'weekly', 'visit', key => 'n', time_column => 'at', period => '7 days', every => '7 days');
SELECT mlops_create_validation_set('buys', 'doomed', 'doomed', key => 'n', time_column => 'at', period => '7 days');
SELECT mlops_create_validation_set('buys', 'frozen', 'visit', key => 'n', frozen => true);
CALL mlops_tick('2026-01-10');
SELECT name, edition FROM mlops.validation_set ORDER BY name;
-- the same moment again: nothing is due
CALL mlops_tick('2026-01-10');
SELECT name, edition FROM mlops.validation_set ORDER BY name;

-- a day later one is due; the source of another is gone
DROP TABLE doomed;
CALL mlops_tick('2026-01-11');
SELECT name, edition, error FROM mlops.validation_set ORDER BY name;
-- a time before the newest edition is none of the tick's
CALL mlops_tick('2026-01-05');
CREATE TABLE doomed AS TABLE visit;
CALL mlops_tick('2026-01-17');
SELECT name, edition, error FROM mlops.validation_set ORDER BY name;

-- within a transaction everything is the caller's
BEGIN;
CALL mlops_tick('2026-01-25');
SELECT name, edition FROM mlops.validation_set ORDER BY name;
ROLLBACK;
SELECT name, edition FROM mlops.validation_set ORDER BY name;

-- a role ticks the sets of models that it may train; as itself, with its rights on tables
CREATE ROLE regress_ml_tick;
GRANT USAGE ON SCHEMA ml_tick TO regress_ml_tick;
SET ROLE regress_ml_tick;
CALL mlops_tick('2026-02-01');
RESET ROLE;
SELECT name, edition FROM mlops.validation_set ORDER BY name;
SELECT mlops_grant('buys', 'regress_ml_tick', 'train');
SET ROLE regress_ml_tick;
CALL mlops_tick('2026-02-01');
-- what one role was allowed does not go on as another
BEGIN;
CALL mlops_tick('2026-02-02');
COMMIT;
RESET ROLE;
SELECT name, edition FROM mlops.validation_set ORDER BY name;
CALL mlops_tick(NULL);
CALL mlops_tick('infinity');
\echo :LAST_ERROR_SQLSTATE
-- procedures that commit must not be atomic: no SET clause, not SECURITY DEFINER
SELECT proconfig IS NULL AND NOT prosecdef AS plain FROM pg_proc WHERE proname = 'mlops_tick';

-- the active version and those under an alias are evaluated on each edition that a tick makes
CREATE TABLE sale AS SELECT i AS n, timestamptz '2026-01-01' + i * interval '1 hour' AS at, i % 7 AS pages, (i * 5 % 13 + i % 7) > 8 AS bought FROM generate_series(1, 1000) AS i;
SELECT mlops_train_now('sells', $$SELECT pages, bought FROM sale WHERE n <= 200$$, 'bought', params => '{"l2": 1}', options => '{"row_fingerprints": "none"}') AS version FROM generate_series(1, 3);
SELECT version FROM mlops_promote('sells', 1);
SELECT mlops_set_alias('sells', 'steady', 3);
SELECT mlops_create_validation_set('sells', 'week', 'sale', target => 'bought', key => 'n', time_column => 'at', period => '7 days');
CALL mlops_tick('2026-01-20');
CALL mlops_tick('2026-01-21');
SELECT version, edition, count(*) AS slices, bool_and(value BETWEEN low AND high) AS within
  FROM mlops.evaluation WHERE model = 'sells' AND metric = 'accuracy' GROUP BY version, edition ORDER BY version, edition;
-- what cannot be evaluated is a warning; the edition is there
ALTER TABLE sale RENAME pages TO sheets;
SELECT mlops_create_validation_set('sells', 'other', 'sale', target => 'bought', key => 'n', time_column => 'at', period => '7 days');
CALL mlops_tick('2026-01-21');
SELECT edition FROM mlops.validation_set WHERE model = 'sells' AND name = 'other';

-- outcomes are pulled from where they arrive; a source that fails is told, the rest goes on
SELECT count(*) AS scored FROM mlops_score('sells/1', 'SELECT n, pages FROM (SELECT n, sheets AS pages FROM sale WHERE n <= 20) AS s', 'n');
CREATE TABLE came AS SELECT n::text AS key, bought AS outcome, clock_timestamp() AS at FROM sale WHERE n <= 20;
SELECT mlops_set_outcomes('sells', 'came', key => 'key', outcome => 'outcome', time_column => 'at');
CALL mlops_tick(clock_timestamp());
SELECT count(*) AS outcomes FROM mlops.outcome WHERE model = 'sells';
ALTER TABLE came RENAME TO gone;
CALL mlops_tick(clock_timestamp());
-- nor does one that fails among its rows end the tick, whatever it says that it is
CREATE FUNCTION fail(code text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no outcomes today' USING ERRCODE = code; END $$;
SELECT mlops_train_now('trades', 'SELECT sheets, bought FROM sale', 'bought', params => '{"l2": 1}') AS version;
SELECT mlops_set_outcomes('sells', $$SELECT n::text AS key, fail('P0001') AS outcome, timestamptz '2020-01-01' AS at FROM sale$$);
SELECT mlops_set_outcomes('trades', $$SELECT 'one' AS key, true AS outcome, timestamptz '2020-01-01' AS at$$);
CALL mlops_tick(clock_timestamp());
SELECT key FROM mlops.outcome WHERE model = 'trades';
SELECT mlops_set_outcomes('sells', $$SELECT n::text AS key, fail('57014') AS outcome, timestamptz '2020-01-01' AS at FROM sale$$);
SELECT mlops_set_outcomes('trades', $$SELECT 'two' AS key, true AS outcome, timestamptz '2020-01-01' AS at$$);
CALL mlops_tick(clock_timestamp());
SELECT key FROM mlops.outcome WHERE model = 'trades' ORDER BY key COLLATE "C";
-- what a tick sees is what is there
BEGIN ISOLATION LEVEL REPEATABLE READ;
CALL mlops_tick();
ROLLBACK;

SELECT mlops_drop_model('trades');
SELECT mlops_drop_model('sells', force => true);
SELECT mlops_drop_model('buys');
DROP SCHEMA ml_tick CASCADE;
DROP ROLE regress_ml_tick;
