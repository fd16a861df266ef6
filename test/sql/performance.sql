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

-- the mean absolute error is 4/3 with a standard error of 1/3: Student's t of two degrees of freedom, 4.302653, on the scale of logarithms
SELECT abs(low / (4 / 3.0 * exp(-4.302652729911275 / 4)) - 1) < 1e-9 AS low, abs(high / (4 / 3.0 * exp(4.302652729911275 / 4)) - 1) < 1e-9 AS high
  FROM mlops_performance('live_number', '3 days', metrics => '{mae}', as_of => '2026-05-03');

-- several classes: what labels alone decide
SELECT logged('live_colour', 'a', '2026-05-01', 0.6, 'a'), logged('live_colour', 'b', '2026-05-01', 0.5, 'b'), logged('live_colour', 'c', '2026-05-01', 0.4, 'a');
SELECT mlops_record_outcome('live_colour', 'a', 'a', '2026-05-02'), mlops_record_outcome('live_colour', 'b', 'c', '2026-05-02'),
       mlops_record_outcome('live_colour', 'c', 'a', '2026-05-02');
SELECT metric, round(value::numeric, 3) AS value FROM mlops_performance('live_colour', '3 days', as_of => '2026-05-03') WHERE metric IN ('accuracy', 'log_loss', 'top_2_accuracy', 'macro_f1') ORDER BY metric;

-- Every metric has the interval that mlops_evaluate_query gives on the same rows; those that are bootstrapped have
-- other random numbers. Where each key was predicted four times, what is known is no more: keys are independent, not calls
SET client_min_messages = error;
SELECT mlops_train_now('live', 'SELECT id, calls, left_us, hashint4(id) % 7 AS noise FROM customer', 'left_us', features => '{calls, noise}', params => '{"l2": 1}') AS version;
RESET client_min_messages;
CREATE VIEW judged AS SELECT i AS id, i % 10 AS calls, hashint4(i) % 7 AS noise,
       CASE WHEN i % 10 + hashint4(i + 1000) % 5 > 5 THEN 'yes' ELSE 'no' END AS left_us FROM generate_series(1001, 1080) AS i;
SELECT count(logged('live', 'e' || j.id, '2026-09-01', mlops_predict('live/2', j), mlops_predict_label('live/2', j), 2)),
       count(mlops_record_outcome('live', 'e' || j.id, j.left_us, '2026-09-02')) FROM judged AS j;
CREATE TABLE evaluated AS SELECT * FROM mlops_evaluate_query('live/2', 'TABLE judged', include_seen => true,
       metrics => (SELECT array_agg(metric) FROM mlops_performance('live', '3 days', as_of => '2026-09-03')));
SELECT count(*) AS metrics, bool_and(abs(p.value - e.value) < 1e-12) AS same_values, count(p.low) AS intervals,
       count(*) FILTER (WHERE abs(p.low - e.low) + abs(p.high - e.high) < 1e-12) AS same_intervals,
       bool_and(p.low <= p.value AND p.value <= p.high) AS around_the_value
  FROM mlops_performance('live', '3 days', as_of => '2026-09-03') AS p JOIN evaluated AS e USING (metric);
SELECT count(logged('live', 'e' || j.id, timestamptz '2026-09-11 00:00' + n * interval '1 hour', mlops_predict('live/2', j), mlops_predict_label('live/2', j), 2)),
       count(mlops_record_outcome('live', 'e' || j.id, j.left_us, timestamptz '2026-09-11 00:30' + n * interval '1 hour')) FROM judged AS j, generate_series(1, 4) AS n;
SELECT p.n, e.n AS keys, p.metric, abs(p.value - e.value) < 1e-12 AS same_value,
       (p.high - p.low) / (e.high - e.low) BETWEEN 0.97 AND 1.06 AS as_wide
  FROM mlops_performance('live', '3 days', as_of => '2026-09-13', metrics => '{accuracy, recall, roc_auc, brier, mcc, f1}') AS p JOIN evaluated AS e USING (metric) ORDER BY p.metric;

-- only the metrics that are named
SELECT metric, n FROM mlops_performance('live', '3 days', metrics => '{roc_auc, accuracy}', as_of => '2026-09-03');
SELECT * FROM mlops_performance('live', '3 days', metrics => '{accurracy}', as_of => '2026-09-03');
SELECT * FROM mlops_performance('live', '3 days', metrics => '{rmse}', as_of => '2026-09-03');

-- Metrics of the labels are of those that were logged, whatever the threshold was at the time, or a rule made of them
SELECT logged('live', 't1', '2026-10-01', 0.3, 'yes'), logged('live', 't2', '2026-10-01', 0.6, 'no'), logged('live', 't3', '2026-10-01', 0.9, 'no');
SELECT mlops_record_outcome('live', 't1', 'yes', '2026-10-02'), mlops_record_outcome('live', 't2', 'no', '2026-10-02'), mlops_record_outcome('live', 't3', 'yes', '2026-10-02');
SELECT metric, value FROM mlops_performance('live', '3 days', metrics => '{accuracy, precision, recall, roc_auc}', as_of => '2026-10-03') WHERE version = 1 ORDER BY metric;
-- business metrics: what is kept by calling who would leave, worth an amount of the logged row; 5 a call
CREATE FUNCTION keep_step(numeric, boolean, boolean, numeric) RETURNS numeric LANGUAGE sql IMMUTABLE
AS 'SELECT $1 + CASE WHEN $2 THEN CASE WHEN $3 THEN $4 ELSE 0 END - 5 ELSE 0 END';
CREATE AGGREGATE kept(boolean, boolean, numeric) (sfunc = keep_step, stype = numeric, initcond = '0');
SELECT mlops_create_metric('kept_live', 'kept(boolean, boolean, numeric)', true, columns => '{amount}');
SELECT count(*) FROM mlops_performance('live', '3 days', metrics => '{kept_live}', as_of => '2026-10-03');
SELECT count(logged('live', 'b' || i, '2026-11-01', 0.5, CASE WHEN i % 2 = 0 THEN 'yes' ELSE 'no' END, 1, 'active',
                    CASE WHEN i <= 60 THEN jsonb_build_object('amount', CASE WHEN i <> 2 THEN i END) END)),
       count(mlops_record_outcome('live', 'b' || i, CASE WHEN i % 4 = 0 THEN 'yes' ELSE 'no' END, '2026-11-02')) FROM generate_series(1, 64) AS i;
-- 30 calls at 5, and 4 + 8 + ... + 60 = 480 kept; of the rows whose input was logged. Those of a jackknife, intervals are there
SELECT metric, value, n, predictions, coverage, low < value AND value < high AS interval
  FROM mlops_performance('live', '3 days', metrics => '{kept_live, accuracy}', as_of => '2026-11-03');

-- nothing has come true yet, and nothing was predicted
SELECT metric, value, n, predictions, coverage, mature FROM mlops_performance('live', '1 day', as_of => '2026-05-01 12:00');
SELECT count(*) FROM mlops_performance('live', '1 day', as_of => '2001-01-01');

-- What is read is counted before it is taken, against the memory that one training may have
SELECT count(logged('live', 'm' || i, '2026-12-01', 0.9, 'yes')), count(mlops_record_outcome('live', 'm' || i, 'yes', '2026-12-02')) FROM generate_series(1, 30000) AS i;
SET mlops.max_training_memory = '1MB';
SELECT count(*) FROM mlops_performance('live', '3 days', metrics => '{accuracy}', as_of => '2026-12-03');
\echo :LAST_ERROR_SQLSTATE
RESET mlops.max_training_memory;
SELECT value, n FROM mlops_performance('live', '3 days', metrics => '{accuracy}', as_of => '2026-12-03');

-- What is refused
SELECT * FROM mlops_performance('live', '0 days');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM mlops_performance('live', every => '1 second');
SELECT * FROM mlops_performance('live', label_delay => '-1 day');
SELECT * FROM mlops_performance('live', as_of => 'infinity');
SELECT * FROM mlops_performance('life');

SELECT mlops_drop_model('live'), mlops_drop_model('live_number'), mlops_drop_model('live_colour');
SET client_min_messages = error;
SELECT mlops_drop_metric('kept_live');
DROP SCHEMA performance_test CASCADE;
