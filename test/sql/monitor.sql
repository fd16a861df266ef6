-- A monitor looks at what serves, period by period: a metric of what came true, or
-- a measure that needs no outcomes. A period is bad when its whole interval lies
-- beyond a bound; then an alert opens, and what the monitor is to do is done. It is
-- resolved when the whole interval is back. Times are given, so that none
-- depends on a clock.
CREATE SCHEMA monitor_test;
SET search_path = monitor_test;
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SET IntervalStyle = 'postgres';
SET client_min_messages = error;
CREATE TABLE visit AS SELECT i AS n, i % 7 AS pages, (ARRAY['a', 'b', 'c'])[1 + i % 3] AS page, i * 5 % 13 > 5 AS bought FROM generate_series(1, 80) AS i;
SELECT count(mlops_train_now('watched', 'visit', 'bought', features => '{pages, page}', params => '{"l2": 1}')) AS trained FROM generate_series(1, 3);
SELECT version FROM mlops_promote('watched', 1);
SELECT version FROM mlops_promote('watched', 2);
UPDATE mlops_catalog.model SET created_at = '2024-01-01';
RESET client_min_messages;

-- the log as it would have been written: n calls from the beginning of a day on, a minute apart, of which so
-- many were right, so many gave nothing, and so many had no pages
CREATE FUNCTION logged(day date, n int, "right" int DEFAULT 0, nothing int DEFAULT 0, without int DEFAULT 0, version int DEFAULT 2,
                       prediction float8 DEFAULT 0.9, model text DEFAULT 'watched') RETURNS bigint
LANGUAGE sql AS $$
    WITH c AS (INSERT INTO mlops_catalog.prediction (at, model, version, role, deployment, key, prediction, label, latency_us, rules_fired, input)
               SELECT day + i * interval '1 minute', model, version, 'active', version, format('%s %s %s', day, version, i), CASE WHEN i > nothing THEN prediction END, 'true',
                      i, (i <= without)::int, jsonb_build_object('pages', CASE WHEN i > without THEN i END, 'page', 'a')
                 FROM generate_series(1, n) AS i RETURNING key, at),
         o AS (INSERT INTO mlops_catalog.outcome (model, key, at, annotator, outcome)
               SELECT model, key, at + interval '1 hour', 'till', (row_number() OVER (ORDER BY at) <= "right")::text FROM c)
    SELECT count(*) FROM c;
$$;

-- ---- a bound of one's own ----

SELECT mlops_set_monitor('watched', 'right', 'accuracy', 0.7, action => 'rollback');
SELECT name, what, state, minimum, maximum, learns, period, every, min_rows, consecutive, action, author = current_user AS mine FROM mlops.monitor;
-- the day before yesterday was good
SELECT logged('2024-03-01', 100, 80);
CALL mlops_tick('2024-03-02');
SELECT since::date, verdict, value, round(low::numeric, 2) AS low, round(high::numeric, 2) AS high, n, version, minimum FROM mlops.monitor_period;
-- a blip is none: 65 of 100 is below the bound, but its interval is not
SELECT logged('2024-03-02', 100, 65);
CALL mlops_tick('2024-03-03');
SELECT verdict, value, alert FROM mlops.monitor_period ORDER BY until DESC LIMIT 1;
-- too few to say, and nothing at all
SELECT logged('2024-03-03', 20, 0);
CALL mlops_tick('2024-03-05');
SELECT since::date, verdict, n, note FROM mlops.monitor_period ORDER BY until DESC LIMIT 2;
-- this is: an alert, and what served before serves again
SELECT logged('2024-03-05', 100, 40);
CALL mlops_tick('2024-03-06');
SELECT alert, monitor, state, what, value, n, minimum, since::date, version, deployment, action, done, made, opened_at FROM mlops.alert;
SELECT number, action, version, from_version, reason, deployed_by = current_user AS by_author FROM mlops.deployment ORDER BY number;
SELECT version, alerts FROM mlops_status();

-- what was taken down by a monitor does not come back without its gates
SELECT mlops_set_gate('watched', 'never', query => 'SELECT false, ''it was bad''');
SELECT mlops_promote('watched', 2);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_drop_gate('watched', 'never');

-- not to be told apart from the bound: the alert stays open; what is clearly back resolves it
SELECT logged('2024-03-06', 100, 72, version => 1), logged('2024-03-07', 100, 90, version => 1);
CALL mlops_tick('2024-03-07');
SELECT state, resolved_at FROM mlops.alert;
CALL mlops_tick('2024-03-08');
SELECT state, resolved_at, resolved_by IS NULL AS by_monitor FROM mlops.alert;

-- ---- each period once, in order, whenever it is asked ----

CALL mlops_tick('2024-03-08');
CALL mlops_tick('2024-03-08 23:59');
SELECT count(*) AS periods FROM mlops.monitor_period;
-- a clock that steps back does nothing, and says so
CALL mlops_tick('2024-03-05');
SELECT count(*) AS periods FROM mlops.monitor_period;
-- a tick that is late looks at all that it missed: two bad days in the past open an alert, which the third resolves; nothing is done
SELECT logged('2024-03-08', 100, 30, version => 1), logged('2024-03-09', 100, 30, version => 1), logged('2024-03-10', 100, 90, version => 1);
CALL mlops_tick('2024-03-11');
SELECT alert, state, since::date, opened_at, done FROM mlops.alert ORDER BY alert DESC LIMIT 1;
SELECT since::date, verdict, alert FROM mlops.monitor_period WHERE alert = 2 ORDER BY until;
-- within a transaction everything is the caller's
BEGIN;
SELECT logged('2024-03-11', 100, 30, version => 1);
SET LOCAL client_min_messages = error;
CALL mlops_tick('2024-03-12');
SELECT alerts FROM mlops_status();
ROLLBACK;
SELECT alerts FROM mlops_status();
SELECT mlops_drop_monitor('watched', 'right');

-- ---- several periods in a row, and not more often than that ----

SET client_min_messages = error;
SELECT version FROM mlops_promote('watched', 3);
SELECT mlops_set_alias('watched', 'fallback', 1);
RESET client_min_messages;
SELECT mlops_set_monitor('watched', 'right', 'accuracy', 0.7, action => 'fallback', consecutive => 2, cooldown => '3 days');
SELECT logged('2024-04-01', 100, 50, version => 3), logged('2024-04-02', 100, 90, version => 3), logged('2024-04-03', 100, 50, version => 3);
CALL mlops_tick('2024-04-02');
CALL mlops_tick('2024-04-03');
CALL mlops_tick('2024-04-04');
SELECT count(*) AS alerts FROM mlops.alert WHERE resolved_at IS NULL;
SELECT logged('2024-04-04', 100, 50, version => 3);
CALL mlops_tick('2024-04-05');
SELECT done FROM mlops.alert WHERE resolved_at IS NULL;
SELECT number, action, version, forced, reason FROM mlops.deployment ORDER BY number DESC LIMIT 1;
-- falling back takes down as well
SELECT mlops_set_gate('watched', 'never', query => 'SELECT false, ''it was bad''');
SELECT mlops_promote('watched', 3);
SELECT mlops_drop_gate('watched', 'never');
-- nobody is taken down for what another did; and the fallback has nothing to fall back to
SELECT logged('2024-04-05', 100, 50, version => 3), logged('2024-04-06', 100, 50, version => 1), logged('2024-04-07', 100, 50, version => 1), logged('2024-04-08', 100, 50, version => 1);
CALL mlops_tick('2024-04-06');
CALL mlops_tick('2024-04-09');
SELECT done FROM mlops.alert WHERE resolved_at IS NULL;
SELECT count(*) AS deployments FROM mlops.deployment;
SELECT mlops_drop_monitor('watched', 'right');

-- ---- a canary: what is watched is the active version; it is taken down, and the canary with it ----

SET client_min_messages = error;
SELECT version FROM mlops_promote('watched', 3, force => true, reason => 'again');
SELECT share FROM mlops_promote('watched', 2, share => 0.1, force => true, reason => 'a tenth');
RESET client_min_messages;
SELECT mlops_set_monitor('watched', 'right', 'accuracy', 0.7, action => 'rollback');
SELECT logged('2024-04-09', 100, 50, version => 3);
CALL mlops_tick('2024-04-10');
SELECT version, canary_version FROM mlops.serving;
SELECT done, made FROM mlops.alert WHERE monitor = 'right' AND resolved_at IS NULL;
SELECT mlops_drop_monitor('watched', 'right');

-- ---- asking for a training ----

SELECT mlops_set_monitor('watched', 'train', 'accuracy', 0.7, action => 'retrain');
SELECT logged('2024-04-10', 100, 50, version => 1);
CALL mlops_tick('2024-04-11');
SELECT done FROM mlops.alert WHERE monitor = 'train';
SELECT mlops_set_retraining('watched');
SELECT logged('2024-04-11', 100, 50, version => 1);
-- the tick that asks for it does it, as everything that is due
BEGIN;
SET LOCAL client_min_messages = error;
CALL mlops_tick('2024-04-12');
SELECT done FROM mlops.alert WHERE monitor = 'train';
SELECT why, status, version FROM mlops.retraining;
COMMIT;
SELECT mlops_drop_monitor('watched', 'train');

-- ---- measures ----

SELECT what, unit, bound, feature FROM mlops_measures();
-- 148 calls, of which 15 gave nothing: Newcombe 1998, "Two-sided confidence intervals for the single proportion", Statistics in
-- Medicine 17, table I: 0.0624 to 0.1605. 37 of 148 had no pages, which is one feature of two
SELECT logged('2024-05-01', 148, 148, nothing => 15, without => 37, version => 1);
SELECT count(mlops_set_monitor('watched', what || coalesce(' of ' || feature, ''), what, feature => feature, maximum => CASE WHEN what LIKE '%share' THEN 1 ELSE 1e6 END))
  FROM (VALUES ('null_share', NULL), ('missing_share', NULL), ('missing_share', 'pages'), ('missing_share', 'page'), ('rules_fired_share', NULL),
               ('prediction_mean', NULL), ('latency_p50', NULL), ('latency_p99', NULL), ('volume', NULL), ('outcome_share', NULL)) AS w (what, feature);
CALL mlops_tick('2024-05-02');
SELECT name, verdict, round(value::numeric, 4) AS value, round(low::numeric, 4) AS low, round(high::numeric, 4) AS high, n FROM mlops.monitor ORDER BY name COLLATE "C";
-- no call at all is something to see for the volume only
CALL mlops_tick('2024-05-03');
SELECT name, verdict, value, round(high::numeric, 4) AS high, note FROM mlops.monitor WHERE what IN ('volume', 'null_share') ORDER BY name COLLATE "C";
-- Breslow and Day 1987, "Statistical Methods in Cancer Research" II, table 2.10: of 100 the exact limits are 0.8136 and 1.2163 times as many
SELECT logged('2024-05-03', 100, version => 1);
CALL mlops_tick('2024-05-04');
SELECT value, abs(low - 81.36) < 0.02 AS low, abs(high - 121.63) < 0.02 AS high FROM mlops.monitor WHERE name = 'volume';
-- the age of the active version needs no rows, but a bound
UPDATE mlops_catalog.version SET trained_at = '2024-02-01' WHERE version = 1;
SELECT mlops_set_monitor('watched', 'age', 'age', 90);
CALL mlops_tick('2024-05-05');
SELECT state, verdict, value FROM mlops.monitor WHERE name = 'age';
SELECT what, value, maximum, version FROM mlops.alert WHERE monitor = 'age';
SELECT count(mlops_drop_monitor('watched', name)) AS dropped FROM mlops.monitor;
-- the alerts of a monitor that is gone are resolved and stay
SELECT state, comment FROM mlops.alert WHERE monitor = 'age';

-- overlapping windows: a week, every day
SELECT mlops_set_monitor('watched', 'week', 'volume', 1, period => '7 days', every => '1 day');
CALL mlops_tick('2024-05-06');
CALL mlops_tick('2024-05-07');
SELECT since::date, until::date, n FROM mlops.monitor_period WHERE monitor = 'week' ORDER BY until;
-- windows end where they end whenever anybody ticks: a week on Mondays
SELECT mlops_set_monitor('watched', 'week', 'volume', 1, period => '7 days');
CALL mlops_tick('2024-05-09 17:05:11');
SELECT since, until FROM mlops.monitor_period WHERE monitor = 'week';
-- nobody looks at what has not happened yet
CALL mlops_tick('2999-01-01');
SELECT max(until) < now() AS past FROM mlops.monitor_period WHERE monitor = 'week';
SELECT mlops_drop_model('watched', force => true);
SELECT (SELECT count(*) FROM mlops_catalog.monitor) + (SELECT count(*) FROM mlops_catalog.monitor_period) + (SELECT count(*) FROM mlops_catalog.alert)
     + (SELECT count(*) FROM mlops_catalog.monitor_clock) AS left_over;
SET client_min_messages = error;
DROP SCHEMA monitor_test CASCADE;
