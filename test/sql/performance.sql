-- mlops_performance(): how good what was predicted turned out to be, by window,
-- version and role. An outcome belongs to the last prediction of its key before
-- it. What share of the predictions has one, after how long, and whether more
-- are to come is said with every metric. Times are given, so that none depends
-- on a clock.

CREATE SCHEMA performance_test;
SET search_path = performance_test;
\set SHOW_CONTEXT never
SET client_min_messages = error;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SET IntervalStyle = 'postgres';

CREATE TABLE customer AS
SELECT i AS id, i % 10 AS calls, CASE WHEN i % 10 + i % 3 > 6 THEN 'yes' ELSE 'no' END AS left_us,
       (ARRAY['a', 'b', 'c'])[1 + i % 3] AS colour FROM generate_series(1, 60) AS i;
SELECT mlops_create_model('live', positive => 'yes');
SELECT mlops_train_now('live', 'customer', 'left_us', features => '{calls}', algorithm => 'baseline') AS version;
SELECT mlops_train_now('live_number', 'customer', 'calls', features => '{id}') AS version;
SELECT mlops_train_now('live_colour', 'customer', 'colour', features => '{calls}') AS version;
UPDATE mlops_catalog.model SET created_at = '2026-01-01' WHERE name LIKE 'live%';
RESET client_min_messages;

-- the log as it would have been written: 29 wrong calls but one, on the 1st of May 2026
CREATE FUNCTION logged(model text, key text, at timestamptz, prediction float8, label text DEFAULT NULL,
                       version int DEFAULT 1, role text DEFAULT 'active', input jsonb DEFAULT NULL) RETURNS boolean
LANGUAGE sql AS 'INSERT INTO mlops_catalog.prediction (model, key, at, prediction, label, version, role, input)
                 VALUES (model, key, at, prediction, label, version, role, input) RETURNING true';
SELECT count(logged('live', 'w' || i, '2026-05-01', 0.9, 'yes')) FROM generate_series(1, 29) AS i;
SELECT count(mlops_record_outcome('live', 'w' || i, CASE WHEN i = 1 THEN 'yes' ELSE 'no' END, '2026-05-02')) FROM generate_series(1, 29) AS i;

-- Wilson's interval of 1 in 29: Newcombe 1998, "Two-sided confidence intervals for the single proportion",
-- Statistics in Medicine 17, table I: 0.0061 to 0.1718
SELECT role, version, n, predictions, coverage, round(value::numeric, 4) AS accuracy, round(low::numeric, 4) AS low,
       round(high::numeric, 4) AS high, delay_median, agreement, mature
  FROM mlops_performance('live', '3 days', as_of => '2026-05-04') WHERE metric = 'accuracy';
-- every metric of the task, on the same rows
SELECT metric, round(value::numeric, 4) AS value FROM mlops_performance('live', '3 days', as_of => '2026-05-04') ORDER BY metric;

-- an outcome belongs to the last prediction of its key before it, in each role
SELECT logged('live', 'k', '2026-06-01', 0.2, 'no'), logged('live', 'k', '2026-06-03', 0.8, 'yes'),
       logged('live', 'k', '2026-06-01 06:00', 0.7, 'yes', 1, 'shadow.new'), logged('live', 'other', '2026-06-01', 0.5, 'yes');
SELECT mlops_record_outcome('live', 'k', 'yes', '2026-05-31'), mlops_record_outcome('live', 'k', 'no', '2026-06-02'),
       mlops_record_outcome('live', 'k', 'yes', '2026-06-05');
SELECT since::date, role, n, predictions, round(value::numeric, 2) AS accuracy, delay_median, mature
  FROM mlops_performance('live', '4 days', every => '1 day', as_of => '2026-06-05')
 WHERE metric = 'accuracy' OR n = 0 ORDER BY since, role;
-- what was not known at the time does not count: seen on the 2nd
SELECT since::date, role, n, predictions FROM mlops_performance('live', '4 days', every => '1 day', as_of => '2026-06-02 12:00')
 WHERE metric = 'accuracy' OR n = 0 ORDER BY since, role;

-- several outcomes: by the model's policy, and how far they agree
SELECT logged('live', 'p', '2026-07-01', 0.9, 'yes');
SELECT mlops_record_outcome('live', 'p', 'no', '2026-07-02', annotator => 'x'), mlops_record_outcome('live', 'p', 'yes', '2026-07-03', annotator => 'y'),
       mlops_record_outcome('live', 'p', 'yes', '2026-07-03', annotator => 'z'), mlops_record_outcome('live', 'p', 'no', '2026-07-04', annotator => 'x'),
       mlops_record_outcome('live', 'p', 'yes', '2026-07-03 12:00', annotator => 'v');
SELECT value AS latest, round(agreement::numeric, 2) AS agreement, delay_median FROM mlops_performance('live', '5 days', as_of => '2026-07-05') WHERE metric = 'accuracy';
SELECT mlops_set_model('live', '{"outcome_policy": "first"}');
SELECT value AS first, round(agreement::numeric, 2) AS agreement FROM mlops_performance('live', '5 days', as_of => '2026-07-05') WHERE metric = 'accuracy';
SELECT mlops_set_model('live', '{"outcome_policy": "majority"}');
SELECT value AS majority, round(agreement::numeric, 2) AS agreement FROM mlops_performance('live', '5 days', as_of => '2026-07-05') WHERE metric = 'accuracy';
SELECT mlops_set_model('live', '{"outcome_policy": null}');

-- by features, where the input was logged
SELECT count(logged('live', 's' || i, '2026-08-01', 0.9, 'yes', 1, 'active', jsonb_build_object('plan', CASE WHEN i % 2 = 0 THEN 'basic' END, 'calls', i % 2)))
  FROM generate_series(1, 8) AS i;
SELECT count(mlops_record_outcome('live', 's' || i, CASE WHEN i % 4 = 0 THEN 'no' ELSE 'yes' END, '2026-08-02')) FROM generate_series(1, 6) AS i;
SELECT slice, n, predictions, coverage, round(value::numeric, 3) AS accuracy
  FROM mlops_performance('live', '3 days', slices => '{plan, calls, nothing}', as_of => '2026-08-03') WHERE metric = 'accuracy' ORDER BY slice COLLATE "C";

-- numbers: errors of 1, -1 and 2
SELECT logged('live_number', 'a', '2026-05-01', 1), logged('live_number', 'b', '2026-05-01', 2), logged('live_number', 'c', '2026-05-01', 3),
       logged('live_number', 'd', '2026-05-01', NULL);
SELECT mlops_record_outcome('live_number', 'a', '0', '2026-05-02'), mlops_record_outcome('live_number', 'b', '3', '2026-05-02'),
       mlops_record_outcome('live_number', 'c', '1', '2026-05-02'), mlops_record_outcome('live_number', 'd', '1', '2026-05-02');
SELECT metric, abs(value - expected) < 1e-12 AS as_expected
  FROM mlops_performance('live_number', '3 days', as_of => '2026-05-03')
  JOIN (VALUES ('rmse', sqrt(2.0::float8)), ('mae', 4.0 / 3), ('max_error', 2)) AS e (name, expected) ON name = metric ORDER BY metric;

-- several classes: what labels alone decide
SELECT logged('live_colour', 'a', '2026-05-01', 0.6, 'a'), logged('live_colour', 'b', '2026-05-01', 0.5, 'b'), logged('live_colour', 'c', '2026-05-01', 0.4, 'a');
SELECT mlops_record_outcome('live_colour', 'a', 'a', '2026-05-02'), mlops_record_outcome('live_colour', 'b', 'c', '2026-05-02'),
       mlops_record_outcome('live_colour', 'c', 'a', '2026-05-02');
SELECT metric, round(value::numeric, 3) AS value FROM mlops_performance('live_colour', '3 days', as_of => '2026-05-03') WHERE metric IN ('accuracy', 'log_loss');

-- nothing has come true yet, and nothing was predicted
SELECT metric, value, n, predictions, coverage, mature FROM mlops_performance('live', '1 day', as_of => '2026-05-01 12:00');
SELECT count(*) FROM mlops_performance('live', '1 day', as_of => '2001-01-01');

-- What is refused
SELECT * FROM mlops_performance('live', '0 days');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM mlops_performance('live', every => '1 second');
SELECT * FROM mlops_performance('live', label_delay => '-1 day');
SELECT * FROM mlops_performance('live', as_of => 'infinity');
SELECT * FROM mlops_performance('life');

SELECT mlops_drop_model('live'), mlops_drop_model('live_number'), mlops_drop_model('live_colour');
SET client_min_messages = error;
DROP SCHEMA performance_test CASCADE;
