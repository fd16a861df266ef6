-- Monitors look at logged inputs with mlops_drift(): broken counts the features that no
-- population explains, drift is how far they are from training, unseen_share is of
-- categories that training never saw. What each period shows is what mlops_drift() says of it.
CREATE SCHEMA monitor_inputs_test;
SET search_path = monitor_inputs_test;
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SET client_min_messages = error;
CREATE TABLE visit AS
SELECT i AS n, (i * 7919 % 1009) / 10.0::float8 AS used, 20 + i * 31 % 50 AS age, (ARRAY['basic', 'pro', 'max', 'basic', 'pro', 'basic'])[1 + i * 13 % 6] AS plan,
       (i * 7919 % 1009) / 10.0 + i * 31 % 50 > 70 AS bought FROM generate_series(1, 1200) AS i;
SELECT mlops_train_now('inputs', 'visit', 'bought', features => '{used, age, plan}', algorithm => 'decision_tree', holdout => 0) AS version FROM generate_series(1, 2);
SELECT version FROM mlops_promote('inputs', 1);
UPDATE mlops_catalog.model SET created_at = '2024-01-01';
RESET client_min_messages;
CREATE FUNCTION logged(day date, used text DEFAULT 'used', plan text DEFAULT 'plan', version int DEFAULT 1) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO mlops_catalog.prediction (model, version, role, key, at, prediction, input) '
                   'SELECT ''inputs'', %s, ''active'', n::text, %L::date + n * interval ''1 second'', p, jsonb_build_object(''used'', %s, ''age'', age, ''plan'', %s) FROM visit AS v, mlops_predict(''inputs/1'', v) AS p WHERE n > 200',
                   version, day, used, plan);
END $$;

SELECT mlops_set_monitor('inputs', 'feeds', 'broken'), mlops_set_monitor('inputs', 'plans', 'unseen_share', 0.05, feature => 'plan'),
       mlops_set_monitor('inputs', 'used', 'drift', 0.1, feature => 'used', consecutive => 1), mlops_set_monitor('inputs', 'age', 'broken', feature => 'age'),
       mlops_set_monitor('inputs', 'all', 'drift', 0.1);
-- a distance has no interval: it must be too large twice in a row, unless that is said otherwise
SELECT name, what, feature, maximum, consecutive, learns FROM mlops.monitor ORDER BY name;
-- as in training: nothing
SELECT logged('2024-03-01');
CALL mlops_tick('2024-03-02');
SELECT name, verdict, round(value::numeric, 2) AS value, n, note FROM mlops.monitor ORDER BY name;
-- a value that is larger, for the most part: a shift, and no fault
SELECT logged('2024-03-02', used => 'least(used + 20, 100 + n % 7)');
CALL mlops_tick('2024-03-03');
SELECT name, verdict, abs(value - (SELECT ks FROM mlops_drift('inputs', period => '1 day', as_of => '2024-03-03') WHERE feature = 'used')) < 1e-12 AS same
  FROM mlops.monitor WHERE name = 'used';
SELECT name, state FROM mlops.monitor ORDER BY name;
-- a feed that stops is one
SELECT logged('2024-03-03', used => 'NULL::float8');
CALL mlops_tick('2024-03-04');
-- new categories are seen, too
SELECT logged('2024-03-04', plan => $$CASE WHEN n % 8 = 0 THEN 'gold' ELSE plan END$$);
CALL mlops_tick('2024-03-05');
SELECT name, value, round(low::numeric, 3) AS low, round(high::numeric, 3) AS high FROM mlops.monitor WHERE name = 'plans';
SELECT alert, monitor, state FROM mlops.alert ORDER BY alert;
-- few calls, and none, show nothing
DELETE FROM mlops_catalog.prediction WHERE at >= '2024-03-05';
CALL mlops_tick('2024-03-06');
SELECT name, verdict, note FROM mlops.monitor ORDER BY name;
-- without inputs there is nothing to compare but predictions
INSERT INTO mlops_catalog.prediction (model, version, role, at, prediction) SELECT 'inputs', 1, 'active', '2024-03-06'::date + i * interval '1 second', i % 2 FROM generate_series(1, 500) AS i;
CALL mlops_tick('2024-03-07');
SELECT name, verdict, value, n, note FROM mlops.monitor WHERE name <> 'all' ORDER BY name;

-- where calls are counted and not logged, or a sample of them is, the serving statistics are looked at
INSERT INTO mlops_catalog.serving_statistics (model, since, version, role, rules, until, counted_at, rows, null_rows, label, label_rows, other_labels, rule_rows, rule_errors, check_rows, barred)
SELECT 'inputs', day, 1, 'active', 0, day + interval '12 hours', day + interval '12 hours', n, n / 10, '{}', '{}', 0, '{}', 0, '{}', n / 20
  FROM (VALUES (timestamptz '2024-04-01', 700), ('2024-04-01 12:00', 300)) AS v (day, n);
INSERT INTO mlops_catalog.serving_histogram (model, since, version, role, subject, feature, until, counted_at, kind, rows, missing)
SELECT 'inputs', '2024-04-01', 1, 'active', 'feature', feature, '2024-04-02', '2024-04-02', 'number', 1000, missing FROM (VALUES ('used', 250), ('age', 50)) AS v (feature, missing);
SELECT logged('2024-04-01');
DELETE FROM mlops_catalog.prediction WHERE at >= '2024-04-01' AND key::int % 10 > 0;
SELECT mlops_drop_monitor('inputs', name) FROM mlops.monitor;
SELECT mlops_set_monitor('inputs', 'calls', 'volume', 1), mlops_set_monitor('inputs', 'nothing', 'null_share', 0.5),
       mlops_set_monitor('inputs', 'used', 'missing_share', 0.5, feature => 'used'), mlops_set_monitor('inputs', 'all', 'missing_share', 0.5),
       mlops_set_monitor('inputs', 'mean', 'prediction_mean', maximum => 1), mlops_set_monitor('inputs', 'checks', 'barred_share', 0.5);
CALL mlops_tick('2024-04-02');
SELECT name, verdict, round(value::numeric, 2) AS value, n FROM mlops.monitor WHERE name <> 'mean' ORDER BY name;
-- what was not counted is read from the log
SELECT name, n FROM mlops.monitor WHERE name = 'mean';

-- what cannot be set
SELECT mlops_set_monitor('inputs', 'm', 'unseen_share', 0.1);
SELECT mlops_set_monitor('inputs', 'm', 'drift', 0.1, feature => 'sex');
SELECT mlops_drop_model('inputs', force => true);
SET client_min_messages = error;
DROP SCHEMA monitor_inputs_test CASCADE;
