-- What mlops_set_monitor() and its sisters refuse: what cannot be watched, bounds that
-- say nothing, times that make no periods. Nothing is stored then.
CREATE SCHEMA monitor_errors_test;
SET search_path = monitor_errors_test;
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SET client_min_messages = error;
CREATE TABLE visit AS SELECT i AS n, i % 7 AS pages, i * 5 % 13 > 5 AS bought FROM generate_series(1, 80) AS i;
SELECT mlops_train_now('refused', 'visit', 'bought', features => '{pages}', params => '{"l2": 1}') AS version;
SELECT version FROM mlops_promote('refused', 1);
UPDATE mlops_catalog.model SET created_at = '2024-01-01';
RESET client_min_messages;

-- neither a metric nor a measure; of another task; of no model
SELECT mlops_set_monitor('refused', 'm', 'roc_acu', 0.7);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_set_monitor('refused', 'm', 'missing_shares', 0.7);
SELECT mlops_set_monitor('refused', 'm', 'zzzzzzzzz', 0.7);
SELECT mlops_set_monitor('refused', 'm', 'rmse', 0.7);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_set_monitor('refusedd', 'm', 'volume', 0.7);
\echo :LAST_ERROR_SQLSTATE
-- bounds
SELECT mlops_set_monitor('refused', 'm', 'prediction_mean', 0.7);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_set_monitor('refused', 'm', 'volume', 10, minimum => 5);
SELECT mlops_set_monitor('refused', 'm', 'volume', minimum => 5, maximum => 4);
SELECT mlops_set_monitor('refused', 'm', 'volume', 'NaN');
SELECT mlops_set_monitor('refused', 'm', 'age');
SELECT mlops_set_monitor('refused', 'm', 'missing_share', 20);
SELECT mlops_set_monitor('refused', 'm', 'outcome_share', -0.1);
-- features
SELECT mlops_set_monitor('refused', 'm', 'volume', 10, feature => 'pages');
SELECT mlops_set_monitor('refused', 'm', 'missing_share', 0.1, feature => 'sheets');
\echo :LAST_ERROR_SQLSTATE
-- actions
SELECT mlops_set_monitor('refused', 'm', 'volume', 10, action => 'rolback');
SELECT mlops_set_monitor('refused', 'm', 'volume', 10, action => 'explode');
-- times
SELECT mlops_set_monitor('refused', 'm', 'volume', 10, period => '0');
SELECT mlops_set_monitor('refused', 'm', 'volume', 10, period => '-1 day');
SELECT mlops_set_monitor('refused', 'm', 'volume', 10, period => '1000 years');
SELECT mlops_set_monitor('refused', 'm', 'volume', 10, every => '2 days');
SELECT mlops_set_monitor('refused', 'm', 'volume', period => '7 days', every => '1 day');
SELECT mlops_set_monitor('refused', 'm', 'volume', period => '1 hour');
SELECT mlops_set_monitor('refused', 'm', 'accuracy', 0.7, label_delay => '-1 day');
SELECT mlops_set_monitor('refused', 'm', 'volume', 10, label_delay => '1 day');
SELECT mlops_set_monitor('refused', 'm', 'volume', 10, cooldown => '-1 day');
SELECT mlops_set_monitor('refused', 'm', 'volume', 10, consecutive => 0);
SELECT mlops_set_monitor('refused', 'm', 'volume', 10, consecutive => 1000);
SELECT mlops_set_monitor('refused', 'm', 'volume', 10, min_rows => 0);
-- names and NULLs
SELECT mlops_set_monitor('refused', '', 'volume', 10);
SELECT mlops_set_monitor('refused', 'a/b', 'volume', 10);
SELECT mlops_set_monitor('refused', repeat('x', 100), 'volume', 10);
SELECT mlops_set_monitor('refused', NULL, 'volume', 10);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_set_monitor('refused', 'm', NULL);
SELECT mlops_set_monitor(NULL, 'm', 'volume');
SELECT mlops_set_monitor('refused', 'm', 'volume', 10, period => NULL);
SELECT count(*) AS stored FROM mlops.monitor;
-- the same name again replaces it
SELECT mlops_set_monitor('refused', 'm', 'volume', 10), mlops_set_monitor('refused', 'm', 'volume', 20);
SELECT name, minimum FROM mlops.monitor;
SELECT mlops_drop_monitor('refused', 'n');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_drop_monitor('refused', 'm');
SELECT mlops_drop_monitor('refused', 'm');
-- only in what can be written
BEGIN READ ONLY;
SELECT mlops_set_monitor('refused', 'm', 'volume', 10);
ROLLBACK;
\echo :LAST_ERROR_SQLSTATE

-- a metric that goes away: the monitor fails and says so, the others go on
CREATE FUNCTION monitor_errors_hit(float8, float8, boolean) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT $1 + ($2 > 0.5 AND $3)::int';
CREATE AGGREGATE hits (float8, boolean) (SFUNC = monitor_errors_hit, STYPE = float8, INITCOND = 0);
SELECT mlops_create_metric('hits', 'hits(float8, boolean)', higher_is_better => true, tasks => '{binary}');
SELECT mlops_set_monitor('refused', 'business', 'hits', 40), mlops_set_monitor('refused', 'calls', 'volume', 1);
INSERT INTO mlops_catalog.prediction (at, model, version, role, key, prediction, label)
SELECT '2024-03-01'::date + i * interval '1 second' + d * interval '1 day', 'refused', 1, 'active', i || '/' || d, 0.9, 'true' FROM generate_series(1, 100) AS i, generate_series(0, 1) AS d;
INSERT INTO mlops_catalog.outcome (model, key, at, annotator, outcome)
SELECT model, key, at + interval '1 hour', 'till', (right(split_part(key, '/', 1), 1) = '1' OR at < '2024-03-02')::text FROM mlops_catalog.prediction;
CALL mlops_tick('2024-03-02');
SELECT name, verdict, value, n FROM mlops.monitor ORDER BY name;
CALL mlops_tick('2024-03-03');
SELECT monitor, value, minimum FROM mlops.alert;
SELECT mlops_drop_metric('hits');
CALL mlops_tick('2024-03-04');
SELECT name, state, error FROM mlops.monitor ORDER BY name;

-- a tick that is cancelled ends, and what it was doing is as if it had not been: the next one does it
SELECT mlops_drop_monitor('refused', 'business');
SET statement_timeout = '1ms';
CALL mlops_tick('2024-03-20');
\echo :LAST_ERROR_SQLSTATE
RESET statement_timeout;
SET client_min_messages = error;
CALL mlops_tick('2024-03-20');
RESET client_min_messages;
SELECT count(*) AS periods, min(until)::date AS first, max(until)::date AS last FROM mlops.monitor_period;
CALL mlops_tick('-infinity');
CALL mlops_tick(NULL);
-- a day of the log that was dropped by hand is a day without data
SELECT mlops.make_log_partitions('2024-04-02');
INSERT INTO mlops_catalog.prediction (at, model, version, role) SELECT '2024-04-02 12:00', 'refused', 1, 'active' FROM generate_series(1, 100);
SELECT format('DROP TABLE %s', i.inhrelid::regclass) FROM pg_inherits AS i WHERE i.inhparent = 'mlops_catalog.prediction'::regclass AND i.inhrelid::regclass::text LIKE '%2024%' \gexec
SET client_min_messages = error;
CALL mlops_tick('2024-04-03');
RESET client_min_messages;
SELECT since::date, verdict, value FROM mlops.monitor_period WHERE monitor = 'calls' ORDER BY until DESC LIMIT 1;
SELECT mlops_drop_model('refused', force => true);
SET client_min_messages = error;
DROP SCHEMA monitor_errors_test CASCADE;
