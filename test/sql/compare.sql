-- Two versions are compared on the same rows, those that neither was trained on:
-- the difference with its interval, whether it is told from none, and how many rows
-- would tell it.

CREATE SCHEMA compare_test;
SET search_path = compare_test;
SET client_min_messages = warning;
CREATE TABLE customer AS
SELECT i AS id, i % 60 AS age, (ARRAY['basic', 'pro', 'max'])[1 + i * 7 % 3] AS plan, i * 37 % 101 + i / 10000.0 AS used,
       ((i * 7919 % 1000) / 1000.0 < 1 / (1 + exp(-(0.06 * (i % 60 - 30) + CASE WHEN i * 7 % 3 = 0 THEN 1 ELSE 0 END)))) AS churned
  FROM generate_series(1, 3000) AS i;
SELECT mlops_train_now('churn', 'SELECT age, plan, used, churned FROM customer WHERE id <= 1500', 'churned', holdout => 0);
SELECT mlops_train_now('churn', 'SELECT plan, used, churned FROM customer WHERE id <= 1500', 'churned', holdout => 0);
SELECT mlops_train_now('churn', 'SELECT age, plan, used, churned FROM customer WHERE id <= 1000', 'churned', holdout => 0);
CREATE VIEW fresh AS SELECT * FROM customer WHERE id > 1500;
SELECT (mlops_promote('churn', 1)).version;
RESET client_min_messages;

-- Without the age the second version is worse, and 1,500 rows show it.
SELECT metric, candidate < champion AS worse, difference = candidate - champion AS is_difference, high < 0 AS surely, p_value < 0.001 AS told, n, needed
  FROM mlops_compare('churn', 2, source => 'fresh', metrics => '{roc_auc,accuracy,f1,pr_auc}');

-- The other way round it is the same with the other sign.
SELECT abs(a.difference + b.difference) < 1e-12 AND abs(a.low + b.high) < 1e-12 AND abs(a.high + b.low) < 1e-12 AND abs(a.p_value - b.p_value) < 1e-12 AS mirrored
  FROM mlops_compare('churn', 2, 1, source => 'fresh', metrics => '{roc_auc,log_loss,accuracy}') AS a
  JOIN mlops_compare('churn', 1, 2, source => 'fresh', metrics => '{roc_auc,log_loss,accuracy}') AS b USING (metric);

-- Candidate and champion are what evaluating each of them says.
SELECT c.metric, abs(c.candidate - a.value) < 1e-12 AS candidate, abs(c.champion - b.value) < 1e-12 AS champion
  FROM mlops_compare('churn', 2, 1, source => 'fresh', metrics => '{log_loss,roc_auc}') AS c
  JOIN mlops_evaluate_query('churn/2', 'fresh', metrics => '{log_loss,roc_auc}', include_seen => true) AS a USING (metric)
  JOIN mlops_evaluate_query('churn/1', 'fresh', metrics => '{log_loss,roc_auc}', include_seen => true) AS b USING (metric) ORDER BY 1;

-- The third version is much like the first: too few rows to tell, and so said.
SET client_min_messages = warning;
SELECT difference BETWEEN low AND high AND low < 0 AND high > 0 AS cannot_tell, p_value > 0.05 AS not_told, needed > n AS more_are_needed
  FROM mlops_compare('churn', 3, 1, source => 'SELECT * FROM fresh WHERE id > 2900', metrics => '{log_loss}');
RESET client_min_messages;

-- Rows that either has seen are left out.
SELECT n FROM mlops_compare('churn', 3, 1, source => 'SELECT * FROM customer WHERE id > 1200', metrics => '{brier}') WHERE p_value <= 1;

-- By slice, and on an edition of a validation set.
SELECT slice, n, p_value < 0.01 AS told FROM mlops_compare('churn', 2, 1, source => 'fresh', slices => '{plan}', metrics => '{roc_auc}');
SET client_min_messages = warning;
SELECT mlops_create_validation_set('churn', 'all', 'SELECT id, age, plan, used, churned FROM fresh', key => 'id');
SELECT rows FROM mlops_refresh_validation_set('churn');
RESET client_min_messages;
SELECT e.difference = q.difference AS same, e.n FROM mlops_compare('churn', 2, metrics => '{roc_auc}') AS e, mlops_compare('churn', 2, source => 'fresh', metrics => '{roc_auc}') AS q;

-- A version against itself: no difference.
SELECT difference, low, high, p_value, needed FROM mlops_compare('churn', 1, 1, source => 'fresh', metrics => '{roc_auc}');

-- refused
SELECT * FROM mlops_compare('churn/2', 2, source => 'fresh');
SELECT * FROM mlops_compare('churn', 9, source => 'fresh');
SELECT * FROM mlops_compare('churn', NULL, source => 'fresh');

SELECT mlops_drop_validation_set('churn', 'all'), mlops_drop_model('churn', force => true);
SET client_min_messages = warning;
DROP SCHEMA compare_test CASCADE;
