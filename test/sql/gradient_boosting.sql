-- Gradient boosting adds trees, each a Newton step of the loss. With one tree
-- of depth one and a learning rate of 1 the step can be taken by hand.

CREATE SCHEMA gradient_boosting_test;
SET search_path = gradient_boosting_test;
SET client_min_messages = warning;

CREATE TABLE groups AS
SELECT g::float8 AS x, i AS other, CASE WHEN g = 1 THEN i % 5 ELSE 10 + i % 3 END AS y, CASE WHEN g = 1 THEN i % 5 = 0 ELSE i % 5 > 0 END AS won
  FROM generate_series(1, 2) AS g, generate_series(1, 30) AS i;
CREATE FUNCTION step(params jsonb, target text DEFAULT 'y') RETURNS TABLE (x float8, predicted numeric) LANGUAGE plpgsql AS $$
DECLARE number int := mlops_train_now('step', format('SELECT x, %I FROM groups', target), target, algorithm => 'gradient_boosting', holdout => 0,
                                      params => '{"trees": 1, "learning_rate": 1, "max_depth": 1, "l2": 0, "min_child_weight": 0}' || params);
BEGIN
    RETURN QUERY SELECT v, round(mlops_predict('step/' || number, jsonb_build_object('x', v))::numeric, 6) FROM unnest(ARRAY[1::float8, 2]) AS v;
    PERFORM mlops_drop_model('step', force => true);
END $$;

-- squared error: the means; l2 draws a leaf to the mean of all, by sum / (n + l2), l1 by (sum - l1) / n
SELECT x, round(avg(y), 6) AS mean, (SELECT round(avg(y), 6) FROM groups) AS of_all FROM groups GROUP BY x ORDER BY x;
SELECT * FROM step('{}');
SELECT s.*, round((SELECT avg(y) FROM groups) + (sum(y) - 30 * (SELECT avg(y) FROM groups)) / 40, 6) AS by_hand
  FROM step('{"l2": 10}') AS s JOIN groups USING (x) GROUP BY s.x, s.predicted ORDER BY x;
SELECT s.*, round((SELECT avg(y) FROM groups) + (abs(sum(y) - 30 * (SELECT avg(y) FROM groups)) - 60) / 30 * sign(avg(y) - 6), 6) AS by_hand
  FROM step('{"l1": 60}') AS s JOIN groups USING (x) GROUP BY s.x, s.predicted ORDER BY x;

-- gamma asks a split for more than this one gains: 60 * 4.5^2 = 1215
SELECT x, predicted FROM step('{"gamma": 1214}') WHERE x = 1;
SELECT x, predicted FROM step('{"gamma": 1216}') WHERE x = 1;

-- absolute error and quantiles: leaves are quantiles of their rows
SELECT s.*, percentile_cont(0.5) WITHIN GROUP (ORDER BY y) AS median FROM step('{"objective": "absolute_error"}') AS s JOIN groups USING (x) GROUP BY s.x, s.predicted ORDER BY x;
SELECT s.*, percentile_disc(0.9) WITHIN GROUP (ORDER BY y) AS quantile FROM step('{"objective": "quantile", "quantile": 0.9}') AS s JOIN groups USING (x) GROUP BY s.x, s.predicted ORDER BY x;

-- poisson: an upward step ends at the mean, a downward one is Newton's
SELECT s.*, round(CASE WHEN x = 2 THEN avg(y) ELSE a * exp(avg(y) / a - 1) END, 6) AS by_hand
  FROM step('{"objective": "poisson"}') AS s JOIN groups USING (x), (SELECT avg(y) AS a FROM groups) AS t GROUP BY s.x, s.predicted, a ORDER BY x;

-- log loss: from p = 1/2 Newton's step is (share - 1/2) / (1/4)
SELECT s.*, round(1 / (1 + exp(-4 * (avg(won::int) - 0.5))), 6) AS by_hand FROM step('{}', 'won') AS s JOIN groups USING (x) GROUP BY s.x, s.predicted ORDER BY x;

-- a surface with categories and gaps, as regression, two classes and three
CREATE TABLE points AS
SELECT i AS id, a, b, (ARRAY['red', 'green', 'blue', 'black', NULL])[i % 5 + 1] AS colour, CASE WHEN i % 7 > 0 THEN a * b END AS gap,
       sin(a) * 3 + b + (i % 5) * (i % 5) / 4.0 + CASE WHEN i % 7 = 0 THEN 2 ELSE 0 END + sin(i * 12.9) / 2 AS y
  FROM (SELECT i, (hashint4(i) & 1023) / 200.0::float8 AS a, (hashint4(-i) & 1023) / 300.0::float8 AS b FROM generate_series(1, 6000) AS i) AS s;
CALL mlops_train('surface', 'SELECT a, b, colour, gap, y FROM points', 'y', algorithm => 'gradient_boosting');
CALL mlops_train('high', 'SELECT a, b, colour, gap, y > 4 AS high FROM points', 'high', algorithm => 'gradient_boosting');
CALL mlops_train('third', 'SELECT a, b, colour, gap, width_bucket(y, ARRAY[2, 5]::float8[])::text AS third FROM points', 'third', algorithm => 'gradient_boosting', params => '{"trees": 40}');
SELECT model, (facts ->> 'trees')::int AS trees, (facts ->> 'leaves')::int <= 31 * (facts ->> 'trees')::int AS of_31_leaves,
       coalesce((holdout_metrics ->> 'r2'), (holdout_metrics ->> 'roc_auc'), (holdout_metrics ->> 'accuracy'))::float8 > 0.85 AS good
  FROM mlops.version WHERE model IN ('surface', 'high', 'third') ORDER BY model COLLATE "C";

-- 31 leaves, those that gain most first, where nothing limits a tree; with a depth it is the limit, and leaves are split by level
CALL mlops_train('deep', 'SELECT a, b, colour, gap, y FROM points', 'y', algorithm => 'gradient_boosting', params => '{"trees": 5, "max_depth": 7}');
CALL mlops_train('levels', 'SELECT a, b, colour, gap, y FROM points', 'y', algorithm => 'gradient_boosting', params => '{"trees": 5, "growth": "depth"}');
SELECT model, (facts ->> 'depth')::int AS depth, (facts ->> 'leaves')::int > 31 * 5 AS more_than_31_leaves
  FROM mlops.version WHERE model IN ('deep', 'levels') ORDER BY model COLLATE "C";

-- leaf-wise growth, samples of rows and columns, quantiles that cover what they say
CALL mlops_train('leafwise', 'SELECT a, b, colour, gap, y FROM points', 'y', algorithm => 'gradient_boosting',
                 params => '{"growth": "leaf", "max_leaves": 15, "max_depth": 0, "subsample": 0.7, "columns_per_tree": 0.8, "columns_per_level": 0.9, "columns_per_split": 0.9, "min_leaf_rows": 10}');
SELECT (facts ->> 'leaves')::int <= 1500 AS few_leaves, (holdout_metrics ->> 'r2')::float8 > 0.9 AS good FROM mlops.version WHERE model = 'leafwise';
CALL mlops_train('ninth', 'SELECT a, b, colour, gap, y FROM points', 'y', algorithm => 'gradient_boosting', params => '{"objective": "quantile", "quantile": 0.9}');
SELECT avg((y <= mlops_predict('ninth/1', p))::int) BETWEEN 0.87 AND 0.93 AS covers FROM (SELECT a, b, colour, gap, y FROM points) AS p;

-- directions hold everywhere
CALL mlops_train('rising', 'SELECT a, b, colour, gap, y FROM points', 'y', algorithm => 'gradient_boosting', params => '{"monotone": {"b": 1, "a": -1}}');
SELECT bool_and(p >= before) AS rises FROM (
    SELECT mlops_predict('rising/1', jsonb_build_object('a', a, 'b', b / 50.0, 'colour', 'red', 'gap', NULL)) AS p,
           lag(mlops_predict('rising/1', jsonb_build_object('a', a, 'b', b / 50.0, 'colour', 'red', 'gap', NULL))) OVER (PARTITION BY a ORDER BY b) AS before
      FROM generate_series(0, 5) AS a, generate_series(-5, 180) AS b) AS s;

-- early stopping: the last rows validate, and the rounds after the best one are dropped
CALL mlops_train('early', 'SELECT a, b, colour, gap, y FROM points WHERE id <= 600', 'y', algorithm => 'gradient_boosting', params => '{"trees": 500, "learning_rate": 0.3, "early_stopping": 10}');
SELECT (facts ->> 'trees')::int = (facts ->> 'best_round')::int AS cut, (facts ->> 'trees')::int < 490 AS stopped,
       (facts ->> 'validation_loss')::float8 > (facts ->> 'training_loss')::float8 AS honest,
       jsonb_array_length(facts -> 'validation_loss_by_round') = (facts ->> 'best_round')::int + 10 AS rounds FROM mlops.version WHERE model = 'early';

-- the same rows in another order, and a row of weight 2 for two, give the same model
CALL mlops_train('surface', 'SELECT a, b, colour, gap, y FROM points ORDER BY md5(id::text)', 'y', algorithm => 'gradient_boosting');
SELECT count(DISTINCT sha256) AS different FROM mlops.version WHERE model = 'surface';
CALL mlops_train('weighted', 'SELECT a, b, y, 1 + id % 2 AS w FROM points WHERE id <= 200', 'y', algorithm => 'gradient_boosting', weight => 'w', params => '{"min_leaf_rows": 1}', holdout => 0);
CALL mlops_train('repeated', 'SELECT a, b, y FROM points, generate_series(0, id % 2) WHERE id <= 200', 'y', algorithm => 'gradient_boosting', params => '{"min_leaf_rows": 1}', holdout => 0);
SELECT max(abs(mlops_predict('weighted/1', p) - mlops_predict('repeated/1', p))) < 1e-6 AS same FROM (SELECT a, b FROM points WHERE id <= 200) AS p;

-- refused
CALL mlops_train('none', 'SELECT a, y - 100 AS y FROM points', 'y', algorithm => 'gradient_boosting', params => '{"objective": "poisson"}');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('none', 'SELECT a, y > 4 AS high FROM points', 'high', algorithm => 'gradient_boosting', params => '{"objective": "squared_error"}');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('none', 'SELECT a, y FROM points', 'y', algorithm => 'gradient_boosting', params => '{"objective": "quantile", "monotone": {"a": 1}}');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('none', 'SELECT a, y FROM points', 'y', algorithm => 'gradient_boosting', params => '{"max_bins": 256}');
\echo :LAST_ERROR_SQLSTATE

SELECT count(mlops_drop_model(m, force => true)::text) AS dropped
  FROM unnest(ARRAY['surface', 'high', 'third', 'leafwise', 'ninth', 'rising', 'early', 'weighted', 'repeated', 'deep', 'levels']) AS m;
DROP SCHEMA gradient_boosting_test CASCADE;
