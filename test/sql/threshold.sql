-- The threshold that is best by a metric of labels, or least by costs, among all
-- that the scores allow.

CREATE SCHEMA threshold_test;
SET search_path = threshold_test;
SET client_min_messages = warning;
CREATE TABLE customer AS
SELECT i AS id, i % 60 AS age, i * 37 % 101 + i / 10000.0 AS used,
       ((i * 7919 % 1000) / 1000.0 < 1 / (1 + exp(-(0.06 * (i % 60 - 50) + 0.01 * (i * 37 % 101))))) AS churned
  FROM generate_series(1, 3000) AS i;
SELECT mlops_train_now('churn', 'SELECT age, used, churned FROM customer WHERE id <= 2000', 'churned', holdout => 0);
CREATE VIEW fresh AS SELECT * FROM customer WHERE id > 2000;
CREATE TABLE scored AS SELECT mlops_predict('churn/1', f) AS p, churned AS y FROM fresh AS f;
RESET client_min_messages;

-- No other threshold has a better f1, and the value is that at the threshold.
WITH tried AS (SELECT t.p AS t, 2.0 * count(*) FILTER (WHERE s.p >= t.p AND y) / (count(*) FILTER (WHERE y) + count(*) FILTER (WHERE s.p >= t.p)) AS f1
                 FROM (SELECT DISTINCT p FROM scored) AS t, scored AS s GROUP BY t.p)
SELECT metric, abs(value - (SELECT max(f1) FROM tried)) < 1e-12 AS best,
       abs(value - (SELECT 2.0 * count(*) FILTER (WHERE p >= threshold AND y) / (count(*) FILTER (WHERE y) + count(*) FILTER (WHERE p >= threshold)) FROM scored)) < 1e-12 AS at_the_threshold,
       low < value AND value < high AS inside, threshold_low <= threshold AND threshold <= threshold_high AS stable, current_threshold, at_half = at_current AS serves_at_half, value > at_half AS better, n
  FROM mlops_threshold('churn/1', source => 'fresh');

-- Costs: a row that is missed costs five calls for nothing, and the threshold of
-- probabilities that are right is 1 / (1 + 5).
WITH tried AS (SELECT t.p AS t, avg(CASE WHEN s.p >= t.p AND NOT y THEN 1 WHEN s.p < t.p AND y THEN 5 ELSE 0 END) AS cost
                 FROM (SELECT DISTINCT p FROM scored) AS t, scored AS s GROUP BY t.p)
SELECT metric, abs(value - (SELECT min(cost) FROM tried)) < 1e-12 AS least, 1 / 6.0 BETWEEN threshold_low AND threshold_high AS as_theory_says, value < at_half AS cheaper
  FROM mlops_threshold('churn/1', source => 'fresh', costs => '{"false_positive": 1, "false_negative": 5}');

-- A gain is a negative cost; other metrics of labels.
SELECT metric, value < 0 AS gains FROM mlops_threshold('churn/1', source => 'fresh', costs => '{"true_positive": -10, "false_positive": 1}');
SELECT metric, value >= at_half AS no_worse FROM mlops_threshold('churn/1', source => 'fresh', metric => 'balanced_accuracy');
SELECT metric, value >= at_half AS no_worse FROM mlops_threshold('churn/1', source => 'fresh', metric => 'mcc');

-- Weights count.
SELECT a.threshold = b.threshold AND abs(a.value - b.value) < 1e-12 AS same
  FROM mlops_threshold('churn/1', source => 'SELECT *, CASE WHEN used < 30 THEN 2 ELSE 1 END AS w FROM fresh', weight => 'w') AS a,
       mlops_threshold('churn/1', source => 'SELECT f.* FROM fresh AS f, generate_series(1, CASE WHEN used < 30 THEN 2 ELSE 1 END)') AS b;

-- refused
SELECT * FROM mlops_threshold('churn/1', source => 'fresh', metric => 'roc_auc');
SELECT * FROM mlops_threshold('churn/1', source => 'fresh', costs => '{"false_negativ": 5}');
SELECT * FROM mlops_threshold('churn/1', source => 'fresh', costs => '{"false_negative": "much"}');
SELECT * FROM mlops_threshold('churn/1', source => 'fresh', costs => '{"true_positive": 5}');
SELECT * FROM mlops_threshold('churn/1', source => 'fresh', costs => '[]');
SET client_min_messages = warning;
SELECT mlops_train_now('used', 'SELECT age, used FROM customer', 'used');
RESET client_min_messages;
SELECT * FROM mlops_threshold('used/1', source => 'fresh', metric => NULL);

SELECT mlops_drop_model('churn'), mlops_drop_model('used');
SET client_min_messages = warning;
DROP SCHEMA threshold_test CASCADE;
