-- Which rows are held out, and what is fitted again afterwards, is the same where
-- the rows stay where they are: the latest ones by a time column, equal times
-- together, found by a query.
CREATE SCHEMA engine_holdout;
SET search_path = engine_holdout;
SET client_min_messages = error;
\set SHOW_CONTEXT never
\i test/sql/include/engines.sql

-- the cut by a timestamp, a date of which many rows are equal, a number, and where times are missing
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics FROM compare('stamp', 'SELECT a, b, z, at, y FROM engine_holdout.t', 'y', time_column => 'at');
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics FROM compare('day', 'SELECT a, b, z, day, y FROM engine_holdout.t', 'y', time_column => 'day', holdout => 0.31);
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics FROM compare('number', 'SELECT a, b, z, y FROM engine_holdout.t', 'y', time_column => 'b', holdout => 0.25);
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics
  FROM compare('missing', 'SELECT a, b, CASE WHEN id % 4 > 0 THEN at END AS at, NULLIF(y, 1) AS y FROM engine_holdout.t', 'y', time_column => 'at');
SELECT same_rows FROM compare('clusters', 'SELECT a, b, at FROM engine_holdout.t', NULL, 'kmeans', '{"k": 2}', time_column => 'at');
SELECT model, version, rows_training, rows_holdout, split ->> 'by' AS by FROM mlops.version WHERE model IN ('stamp', 'day', 'number') ORDER BY model, version;
SELECT time_from, time_to FROM mlops.version WHERE model = 'stamp' AND version = 2;

-- few distinct times: neither part is empty if that can be
SELECT i AS times, same_rows FROM generate_series(1, 3) AS i,
       LATERAL compare('ties' || i, format('SELECT a, b, y, id %% %s AS at FROM engine_holdout.t', i), 'y', time_column => 'at') ORDER BY i;
SELECT model, rows_training, rows_holdout, (split ->> 'from')::float8 AS first_time_held_out FROM mlops.version WHERE model LIKE 'ties_' AND version = 2 ORDER BY model;
SELECT same_rows FROM compare('never', 'SELECT a, b, y, NULL::date AS at FROM engine_holdout.t', 'y', time_column => 'at');

-- the latest rows are held out, and fitted on after they have been measured
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics
  FROM compare('again', 'SELECT a, b, z, plan, at, y FROM engine_holdout.t', 'y', time_column => 'at', options => '{"refit": true}');
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics
  FROM compare('once', 'SELECT a, b, z, plan, c FROM engine_holdout.t', 'c', params => '{"l2": 1, "class_weight": "balanced"}', options => '{"refit": true}');
SELECT count(*) AS models, bool_and(rows_training < rows_used) AS measured_on_rows_held_out FROM mlops.version WHERE model IN ('again', 'once');

-- ---- refused ----

SELECT mlops_train_now('no', 'SELECT a, b, y FROM engine_holdout.t', 'y', options => '{"engine": "sql", "keep_rows": true}');
SELECT mlops_train_now('no', 'SELECT a, b, c FROM engine_holdout.t', 'c', params => '{"calibration": "platt"}', options => '{"engine": "sql"}');

SELECT count(mlops_drop_model(m)::text) FROM unnest('{stamp,day,number,missing,clusters,ties1,ties2,ties3,never,again,once}'::text[]) AS m;
DROP SCHEMA engine_holdout CASCADE;
