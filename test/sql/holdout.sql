-- A share of the rows is held out, and the model is measured on it. Which
-- rows these are depends on the row alone (or on its key): a row stays where
-- it is when others are added, and equal rows are never on both sides. With a
-- time column the latest rows are held out, equal times together.

CREATE SCHEMA holdout_test;
SET search_path = holdout_test;
SET client_min_messages = warning;
CREATE TABLE points AS
SELECT i AS id, i % 50 AS customer, timestamp '2025-01-01' + i / 10 * interval '1 hour' AS at,
       i::float8 AS x, 2 * i + 10 * sin(i) AS y
  FROM generate_series(1, 1000) AS i;

-- the share is a share, near enough
SELECT mlops_train_now('held', 'SELECT x, y FROM points', 'y', holdout => 0.3);
SELECT rows_holdout BETWEEN 250 AND 350 AS about_30_percent, split ->> 'by' AS split_by
  FROM mlops.version WHERE model = 'held' AND version = 1;

-- holdout => 0 trains on everything; then the constant is compared on the training rows
SELECT mlops_train_now('held', 'SELECT x, y FROM points', holdout => 0);
SELECT rows_holdout, holdout_metrics IS NULL AS not_measured, baseline_metrics IS NOT NULL AS baseline, split
  FROM mlops.version WHERE model = 'held' AND version = 2;

-- another seed holds out other rows, the same seed the same ones
SELECT mlops_train_now('held', 'SELECT x, y FROM points', holdout => 0.3, seed => s) FROM (VALUES (42), (43)) AS v (s);
SELECT a.sha256 = b.sha256 AS same_seed, a.sha256 = c.sha256 AS other_seed
  FROM mlops.version a, mlops.version b, mlops.version c
 WHERE a.model = 'held' AND a.version = 1 AND b.model = 'held' AND b.version = 3 AND c.model = 'held' AND c.version = 4;

-- by key: all rows of one customer are on one side
SELECT mlops_train_now('by_key', 'SELECT customer, x, y FROM points', 'y', key => 'customer');
SELECT rows_holdout % 20 AS divided_customers, split ->> 'by' AS split_by, columns -> 0 ->> 'role' AS role
  FROM mlops.version WHERE model = 'by_key';

-- stable: rows of new customers change nothing for the others
SELECT mlops_train_now('by_key', $$SELECT customer, x, y FROM points
       UNION ALL SELECT customer + 1000, x, y FROM points WHERE customer = 7$$, key => 'customer');
SELECT CASE WHEN (b.rows_training - a.rows_training, b.rows_holdout - a.rows_holdout) IN ((20, 0), (0, 20))
            THEN 'only the new customer moved' END AS moved
  FROM mlops.version a, mlops.version b
 WHERE a.model = 'by_key' AND a.version = 1 AND b.model = 'by_key' AND b.version = 2;

-- by time: the latest fifth, and the range of times is kept
SELECT mlops_train_now('by_time', 'SELECT at, x, y FROM points', 'y', time_column => 'at');
SELECT rows_training, rows_holdout, split ->> 'by' AS split_by, time_from, time_to
  FROM mlops.version WHERE model = 'by_time';

-- an integer will do as a time, and a date
SELECT mlops_train_now('by_time', 'SELECT id, x, y FROM points', time_column => 'id', holdout => 0.1);
SELECT mlops_train_now('by_time', 'SELECT at::date AS at, x, y FROM points', time_column => 'at', holdout => 0.5);
-- model cards say from when on, in the time's own type
SET TimeZone = 'UTC';
SELECT v, line FROM generate_series(1, 3) AS v, regexp_split_to_table(mlops_describe('by_time/' || v), E'\n') AS line WHERE line LIKE '%split:%' ORDER BY v;
RESET TimeZone;
SELECT version, rows_training, rows_holdout, time_from, time_to
  FROM mlops.version WHERE model = 'by_time' AND version > 1 ORDER BY version;

-- refused
SELECT mlops_train_now('held', 'points', 'y', holdout => 1);
SELECT mlops_train_now('held', 'points', 'y', holdout => -0.1);
SELECT mlops_train_now('held', 'points', 'y', holdout => 'NaN');
SELECT mlops_train_now('held', 'points', 'y', time_column => 'y');
SELECT mlops_train_now('held', 'points', 'y', key => 'nobody');

SELECT count(mlops_drop_model(m, force => true)::text) AS dropped FROM unnest(ARRAY['held', 'by_key', 'by_time']) AS m;
DROP SCHEMA holdout_test CASCADE;
