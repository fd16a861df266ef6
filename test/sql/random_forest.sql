-- A random forest averages deep trees, each on rows drawn anew and looking at
-- a few features at each split. Rows that a tree has not drawn tell how well
-- it does: the out-of-bag score is as honest as a hold-out.

CREATE SCHEMA random_forest_test;
SET search_path = random_forest_test;
SET client_min_messages = warning;

CREATE TABLE points AS
SELECT i AS id, a, b, (ARRAY['red', 'green', 'blue'])[i % 3 + 1] AS colour, CASE WHEN i % 10 > 0 THEN a * b END AS gap,
       sin(a) * 3 + b + (i % 3) * 2 + sin(i * 12.9) AS y
  FROM (SELECT i, (hashint4(i) & 1023) / 200.0::float8 AS a, (hashint4(-i) & 1023) / 300.0::float8 AS b FROM generate_series(1, 4000) AS i) AS s;

-- out-of-bag and hold-out agree
CALL mlops_train('forest', 'SELECT a, b, colour, gap, y FROM points', 'y', algorithm => 'random_forest', params => '{"trees": 60}');
SELECT (facts ->> 'oob_r2')::float8 > 0.85 AS good, abs((facts ->> 'oob_r2')::float8 - (holdout_metrics ->> 'r2')::float8) < 0.03 AS honest,
       (facts ->> 'trees')::int AS trees, (facts ->> 'depth')::int <= 16 AS bounded
  FROM mlops.version WHERE model = 'forest';

-- two classes: the share of the positive one
CALL mlops_train('high', 'SELECT a, b, colour, gap, y > 4 AS high FROM points', 'high', algorithm => 'random_forest', params => '{"trees": 60}');
SELECT abs((facts ->> 'oob_accuracy')::float8 - (holdout_metrics ->> 'accuracy')::float8) < 0.04 AS honest,
       abs((facts ->> 'oob_log_loss')::float8 - (holdout_metrics ->> 'log_loss')::float8) < 0.05 AS loss
  FROM mlops.version WHERE model = 'high';
SELECT min(p) >= 0 AND max(p) <= 1 AS shares FROM (SELECT mlops_predict('high/1', p) AS p FROM (SELECT a, b, colour, gap FROM points) AS p) AS s;

-- several classes: shares that sum to one
CALL mlops_train('third', 'SELECT a, b, colour, gap, width_bucket(y, ARRAY[2, 5]::float8[])::text AS third FROM points', 'third', algorithm => 'random_forest', params => '{"trees": 30, "max_depth": 8}');
SELECT max(abs(total - 1)) < 1e-12 AS whole FROM (
    SELECT (SELECT sum(value::float8) FROM jsonb_each(mlops_predict_proba('third/1', p))) AS total FROM (SELECT a, b, colour, gap FROM points LIMIT 200) AS p) AS s;
SELECT (facts ->> 'trees')::int AS trees, (facts ->> 'oob_accuracy')::float8 > 0.75 AS good FROM mlops.version WHERE model = 'third';

-- without drawing rows and with all columns every tree is the same one
CALL mlops_train('same', 'SELECT a, b, y FROM points WHERE id <= 300', 'y', algorithm => 'random_forest', params => '{"trees": 3, "bootstrap": false, "columns_per_split": 1, "max_depth": 4}', holdout => 0);
CALL mlops_train('single', 'SELECT a, b, y FROM points WHERE id <= 300', 'y', algorithm => 'random_forest', params => '{"trees": 1, "bootstrap": false, "columns_per_split": 1, "max_depth": 4}', holdout => 0);
SELECT max(abs(mlops_predict('same/1', p) - mlops_predict('single/1', p))) < 1e-12 AS same FROM (SELECT a, b FROM points) AS p;
SELECT facts ? 'oob_r2' AS out_of_bag FROM mlops.version WHERE model = 'same';

-- the same rows in another order give the same bytes; another seed does not
CALL mlops_train('forest', 'SELECT a, b, colour, gap, y FROM points ORDER BY md5(id::text)', 'y', algorithm => 'random_forest', params => '{"trees": 60}');
CALL mlops_train('forest', 'SELECT a, b, colour, gap, y FROM points', 'y', algorithm => 'random_forest', params => '{"trees": 60}', seed => 43);
SELECT version, sha256 = first_value(sha256) OVER (ORDER BY version) AS same FROM mlops.version WHERE model = 'forest' ORDER BY version;

-- no row at all of a rare code, one row alone: it trains, and it scores
CALL mlops_train('tiny', 'SELECT * FROM (VALUES (1, ''a'', 1.0::float8), (2, ''b'', 2), (NULL, NULL, 3)) AS v (x, c, y)', 'y', algorithm => 'random_forest', holdout => 0, params => '{"trees": 5, "min_category_rows": 1}');
SELECT mlops_predict('tiny/1', '{"x": 1, "c": "never seen"}'::jsonb) BETWEEN 1 AND 3 AS within;

SELECT count(mlops_drop_model(m, force => true)::text) AS dropped
  FROM unnest(ARRAY['forest', 'high', 'third', 'same', 'single', 'tiny']) AS m;
DROP SCHEMA random_forest_test CASCADE;
