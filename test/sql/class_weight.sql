-- Where one class is rare, a fit that counts every row alike hardly sees it.
-- class_weight => balanced lets every class weigh the same, class_weights says
-- how much a row of each class counts. Both are weights of rows for the
-- learner alone: metrics, shares and recipes count rows as they are.

CREATE SCHEMA class_weight_test;
SET search_path = class_weight_test;
SET client_min_messages = warning;

-- one customer in ten leaves
CREATE TABLE customers AS
SELECT i AS id, sin(i * 0.7) AS mood, cos(i * 1.3) AS age,
       CASE WHEN (i % 10 = 0) <> (sin(i * 0.7) > 0.95) THEN 'yes' ELSE 'no' END AS leaves
  FROM generate_series(1, 1000) AS i;
CREATE FUNCTION same(a text, b text) RETURNS boolean LANGUAGE sql AS
$$ SELECT bool_and(abs(x.estimate - y.estimate) <= 1e-9 * abs(x.estimate))
     FROM mlops_coefficients(a) x JOIN mlops_coefficients(b) y USING (term) $$;

-- balanced: rows of a class count rows / (classes * rows of the class)
CALL mlops_train('balanced', 'SELECT mood, age, leaves FROM customers', 'leaves', params => '{"class_weight": "balanced"}', holdout => 0);
CALL mlops_train('by_hand',
  'SELECT mood, age, leaves, count(*) OVER () / (2.0 * count(*) OVER (PARTITION BY leaves)) AS w FROM customers',
  'leaves', weight => 'w', holdout => 0);
SELECT same('balanced/1', 'by_hand/1');

-- the mean prediction is then a half, and the metrics are of the rows as they are
SELECT round(avg(p) FILTER (WHERE leaves = 'yes')::numeric + avg(1 - p) FILTER (WHERE leaves = 'no')::numeric, 6) > 1 AS tells_more,
       abs(avg(w * p) - 0.5) < 1e-6 AS balanced
  FROM (SELECT leaves, mlops_predict('balanced/1', c) AS p, count(*) OVER () / (2.0 * count(*) OVER (PARTITION BY leaves)) AS w
          FROM customers c) AS s;
CALL mlops_train('balanced', 'SELECT mood, age, leaves FROM customers', holdout => 0);
SELECT a.baseline_metrics = b.baseline_metrics AS same_baseline,
       abs((a.training_metrics ->> 'recall')::float8 - (SELECT avg((mlops_predict('balanced/1', c) >= 0.5)::int) FROM customers c WHERE leaves = 'yes')) < 1e-9 AS recall
  FROM mlops.version a, mlops.version b
 WHERE a.model = 'balanced' AND a.version = 1 AND b.model = 'balanced' AND b.version = 2;

-- class_weights: others count 1, whichever class is the positive one
CALL mlops_train('given', 'SELECT mood, age, leaves FROM customers', 'leaves', params => '{"class_weights": {"yes": 3}}', holdout => 0);
CALL mlops_train('by_hand', $$SELECT mood, age, leaves, CASE leaves WHEN 'yes' THEN 3 ELSE 1 END AS w FROM customers$$, weight => 'w', holdout => 0);
SELECT same('given/1', 'by_hand/2');
SELECT mlops_create_model('staying', 'leaves', positive => 'no') IS NOT NULL AS created;
CALL mlops_train('staying', 'SELECT mood, age, leaves FROM customers', params => '{"class_weights": {"yes": 3}}', holdout => 0);
SELECT max(abs(mlops_predict('staying/1', c) + mlops_predict('given/1', c) - 1)) < 1e-9 AS mirrored FROM customers c;

-- together with weights of the rows: their product; shares are by the rows' weights
CALL mlops_train('given', 'SELECT mood, age, leaves, 1 + id % 3 AS w FROM customers', weight => 'w', params => '{"class_weight": "balanced"}', holdout => 0);
CALL mlops_train('by_hand',
  'SELECT mood, age, leaves, w * sum(w) OVER () / (2.0 * sum(w) OVER (PARTITION BY leaves)) AS w FROM (SELECT *, 1 + id % 3 AS w FROM customers) AS c',
  weight => 'w', holdout => 0);
SELECT same('given/2', 'by_hand/3');

-- numbers and booleans are named as the target shows them
CALL mlops_train('numbered', $$SELECT mood, age, (leaves = 'yes')::int AS y FROM customers$$, 'y', algorithm => 'logistic_regression',
  params => '{"class_weights": {"1": 3}}', holdout => 0);
SELECT same('numbered/1', 'given/1');
CALL mlops_train('flagged', $$SELECT mood, age, leaves = 'yes' AS y FROM customers$$, 'y', params => '{"class_weights": {"true": 3}}', holdout => 0);
SELECT same('flagged/1', 'given/1');

-- kept by a retraining
CALL mlops_retrain('given/1');
SELECT params -> 'class_weights' AS class_weights, params ->> 'class_weight' AS class_weight
  FROM mlops.version WHERE model = 'given' ORDER BY version DESC LIMIT 1;

-- refused
CALL mlops_train('given', 'SELECT mood, age, leaves FROM customers', params => '{"class_weights": {"yess": 3}}');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('given', 'SELECT mood, age, leaves FROM customers', params => '{"class_weights": {"yes": -1}}');
CALL mlops_train('given', 'SELECT mood, age, leaves FROM customers', params => '{"class_weights": {"yes": 2}, "class_weight": "balanced"}');
CALL mlops_train('given', 'SELECT mood, age, leaves FROM customers', params => '{"class_weight": "even"}');
CALL mlops_train('moody', 'SELECT mood, age FROM customers', 'mood', params => '{"class_weight": "balanced"}');

SELECT count(mlops_drop_model(m, force => true)::text) AS dropped
  FROM unnest(ARRAY['balanced', 'by_hand', 'given', 'staying', 'numbered', 'flagged']) AS m;
DROP SCHEMA class_weight_test CASCADE;
