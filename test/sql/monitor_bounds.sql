-- Bounds that nobody gave are proposed from earlier periods: the prediction
-- interval of one more, on the scale on which the quantity varies alike, that is missed
-- with a probability of 1/10,000. Before there are 14 the monitor learns.
-- Expected numbers: computed apart, with the quantile 5.110578897642881 of t with 13
-- degrees of freedom.
CREATE SCHEMA monitor_bounds_test;
SET search_path = monitor_bounds_test;
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SET client_min_messages = error;
CREATE TABLE visit AS SELECT i AS n, i % 7 AS pages, i * 5 % 13 > 5 AS bought FROM generate_series(1, 80) AS i;
SELECT count(mlops_train_now('learns', 'visit', 'bought', features => '{pages}', params => '{"l2": 1}')) AS trained FROM generate_series(1, 2);
SELECT version FROM mlops_promote('learns', 1);
UPDATE mlops_catalog.model SET created_at = '2024-01-01';
RESET client_min_messages;
CREATE FUNCTION logged(day date, n int, without int DEFAULT 0, prediction float8 DEFAULT 0.5, version int DEFAULT 1) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO mlops_catalog.prediction (at, model, version, role, key, prediction, input)
    SELECT day + i * interval '1 second', 'learns', version, 'active', i, prediction, jsonb_build_object('pages', CASE WHEN i > without THEN i END)
      FROM generate_series(1, n) AS i;
$$;

-- a log of a fortnight and of the half of a day before it, which is no period to learn from
SELECT count(logged('2024-03-01'::date + d::int, calls, prediction => mean))
  FROM unnest(ARRAY[100, 140, 90, 110, 70, 130, 99, 120, 101, 150, 95, 101, 99, 130],
              ARRAY[0.50, 0.52, 0.49, 0.51, 0.48, 0.53, 0.50, 0.52, 0.47, 0.51, 0.49, 0.50, 0.52, 0.48]) WITH ORDINALITY AS t (calls, mean, d);
SELECT logged('2024-03-01', 3);
SELECT mlops_set_monitor('learns', 'calls', 'volume');
SELECT mlops_set_monitor('learns', 'mean', 'prediction_mean');
-- 13 periods before the newest: one is missing
CALL mlops_tick('2024-03-16');
SELECT name, state, learns, minimum_now, maximum_now, note FROM mlops.monitor ORDER BY name;
SELECT count(*) AS periods, min(since)::date AS since, string_agg(DISTINCT verdict, ', ') AS verdicts FROM mlops.monitor_period WHERE monitor = 'calls';
-- 14: what they tell holds for the next
SELECT logged('2024-03-16', 100, prediction => 0.5);
CALL mlops_tick('2024-03-17');
SELECT name, state, abs(minimum_now / least - 1) < 1e-9 AS minimum, abs(maximum_now / most - 1) < 1e-9 AS maximum
  FROM mlops.monitor JOIN (VALUES ('calls', 36.9867583500173, NULL::float8), ('mean', 0.40666914166110274, 0.5961880011960403)) AS e (which, least, most) ON which = name ORDER BY name;
-- too few calls, and another mean
SELECT logged('2024-03-17', 10), logged('2024-03-18', 100, prediction => 0.7);
CALL mlops_tick('2024-03-18');
CALL mlops_tick('2024-03-19');
SELECT alert, monitor, round(value::numeric, 4) AS value FROM mlops.alert ORDER BY alert;
-- while an alert is open its bounds stay, and nothing is learned from bad periods
SELECT count(logged('2024-03-19'::date + d, 100, prediction => 0.7)) FROM generate_series(0, 20) AS d;
CALL mlops_tick('2024-04-09');
SELECT state, round(maximum_now::numeric, 4) AS maximum, count(*) OVER () AS monitors FROM mlops.monitor WHERE name = 'mean';
-- somebody says that this is usual now: it is learned from
SELECT mlops_acknowledge_alert('learns', 2, is_real => false, note => 'a new shop');
SELECT logged('2024-04-09', 100, prediction => 0.7);
CALL mlops_tick('2024-04-10');
SELECT state, verdict, maximum_now > 0.75 AS wider, alerts, acknowledged, precision FROM mlops.monitor WHERE name = 'mean';

-- what says something of the version is learned anew when another one serves; what says something of the feed is not
SET client_min_messages = error;
SELECT version FROM mlops_promote('learns', 2);
RESET client_min_messages;
SELECT logged('2024-04-10', 100, prediction => 0.1, version => 2);
CALL mlops_tick('2024-04-11');
SELECT name, state, note FROM mlops.monitor ORDER BY name;
SELECT alert, state, comment FROM mlops.alert WHERE monitor = 'mean' ORDER BY alert;

-- shares: on the scale of the arcsine, with at least the deviation that sampling makes; a day of 12 is usual enough
SELECT logged('2024-05-31', 1);
SELECT count(logged('2024-05-31'::date + d::int, 100, without => k)) FROM unnest(ARRAY[4, 6, 5, 3, 7, 5, 4, 6, 5, 5, 12, 4, 6, 5]) WITH ORDINALITY AS t (k, d);
SELECT mlops_set_monitor('learns', 'pages', 'missing_share', feature => 'pages');
CALL mlops_tick('2024-06-15');
SELECT logged('2024-06-15', 100, without => 25);
CALL mlops_tick('2024-06-16');
SELECT state, abs(maximum_now / 0.22820381019329272 - 1) < 1e-9 AS maximum FROM mlops.monitor WHERE name = 'pages';
-- 25 in 100 is above, but not clearly; a feed that stops is
SELECT verdict, value, round(low::numeric, 3) AS low FROM mlops.monitor WHERE name = 'pages';
SELECT logged('2024-06-16', 100, without => 100);
CALL mlops_tick('2024-06-17');

-- one period that is far out teaches nothing; what comes again, as on Sundays, does
SELECT mlops_drop_monitor('learns', name) FROM mlops.monitor;
SELECT count(logged('2024-08-01'::date + d, 100 + d % 3, prediction => CASE WHEN d = 10 THEN 0.9 ELSE 0.5 + d % 3 * 0.01 END, version => 2)) FROM generate_series(0, 40) AS d;
SELECT mlops_set_monitor('learns', 'mean', 'prediction_mean');
CALL mlops_tick('2024-09-11');
SELECT state, maximum_now < 0.6 AS narrow FROM mlops.monitor;
SELECT mlops_drop_monitor('learns', 'mean');
SELECT count(logged('2024-10-01'::date + d, 100, prediction => CASE WHEN d % 7 = 0 THEN 0.9 ELSE 0.5 + d % 3 * 0.01 END, version => 2)) FROM generate_series(0, 42) AS d;
SELECT mlops_set_monitor('learns', 'mean', 'prediction_mean');
CALL mlops_tick('2024-11-13');
SET IntervalStyle = 'postgres';
SELECT state, maximum_now > 0.9 AS wide FROM mlops.monitor;

-- the monitors that every model should have
SELECT mlops_set_default_monitors('learns', label_delay => '1 day', action => 'rollback');
SELECT name, what, action, label_delay, learns FROM mlops.monitor WHERE name <> 'mean' ORDER BY name;
-- those that are there stay as they are
SELECT count(*) FROM mlops_set_default_monitors('learns');
-- and who may not set them is told so
CREATE ROLE regress_ml_watches;
SELECT mlops_grant('learns', 'regress_ml_watches', 'read');
SET ROLE regress_ml_watches;
SELECT mlops_set_default_monitors('learns');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT mlops_revoke('learns', 'regress_ml_watches', 'read');
DROP ROLE regress_ml_watches;
SELECT mlops_drop_model('learns', force => true);
SET client_min_messages = error;
DROP SCHEMA monitor_bounds_test CASCADE;
