-- Metrics are computed once, in C, for training, hold-out and baseline. Here
-- each is held against its definition written in SQL, on predictions with ties
-- and rows with weights: a row of weight 2 counts like two rows.

CREATE SCHEMA metrics_test;
SET search_path = metrics_test;
SET client_min_messages = error;

-- values differ in sixths only, so that many rows score the same
CREATE TABLE data AS
SELECT i % 7 AS a, i % 3 AS b, 1 + i % 4 AS w,
       (i * 7919 % 101) / 101.0 < 0.2 + (i % 7) / 10.0 AS won,
       (i % 7) * 2.5 - (i % 3) + (i * 7919 % 101) / 20.0 AS amount
  FROM generate_series(1, 600) AS i;
SELECT mlops_train_now('metrics_won', 'data', 'won', exclude => ARRAY['amount'], weight => 'w', holdout => 0) AS version;
SELECT mlops_train_now('metrics_amount', 'data', 'amount', exclude => ARRAY['won'], weight => 'w', holdout => 0) AS version;
SELECT mlops_train_now('metrics_counted', 'SELECT a, b, w, 1 + a + b AS n FROM data', 'n', algorithm => 'baseline', weight => 'w', holdout => 0) AS version;

CREATE TABLE won AS SELECT won::int AS y, w, mlops_predict('metrics_won/1', d) AS p FROM data AS d;
CREATE TABLE amount AS SELECT amount::float8 AS y, w, mlops_predict('metrics_amount/1', d) AS p FROM data AS d;
CREATE TABLE counted AS SELECT (1 + a + b)::float8 AS y, w, mlops_predict('metrics_counted/1', d) AS p FROM data AS d;

-- two classes
WITH defined AS (
    SELECT 'roc_auc' AS metric,
           (SELECT sum(t.w * f.w * CASE WHEN t.p > f.p THEN 1 WHEN t.p = f.p THEN 0.5 ELSE 0 END) / sum(t.w * f.w)
              FROM won AS t, won AS f WHERE t.y = 1 AND f.y = 0) AS value
    UNION ALL
    SELECT 'log_loss', (SELECT -sum(w * ln(CASE y WHEN 1 THEN p ELSE 1 - p END)) / sum(w) FROM won)
    UNION ALL
    SELECT 'brier', (SELECT sum(w * (p - y) ^ 2) / sum(w) FROM won)
    UNION ALL
    SELECT 'accuracy', (SELECT sum(w) FILTER (WHERE (p >= 0.5) = (y = 1))::float8 / sum(w) FROM won)
    UNION ALL
    SELECT 'precision', (SELECT sum(w) FILTER (WHERE y = 1)::float8 / sum(w) FROM won WHERE p >= 0.5)
    UNION ALL
    SELECT 'recall', (SELECT sum(w) FILTER (WHERE p >= 0.5)::float8 / sum(w) FROM won WHERE y = 1)
    UNION ALL
    SELECT 'f1', (SELECT 2.0 * sum(w) FILTER (WHERE p >= 0.5 AND y = 1)
                         / (sum(w) FILTER (WHERE p >= 0.5) + sum(w) FILTER (WHERE y = 1)) FROM won)
)
SELECT metric, abs((training_metrics ->> metric)::float8 - value) < 1e-12 AS as_defined, value BETWEEN 0.1 AND 0.95 AS not_trivial
  FROM defined, mlops.version WHERE model = 'metrics_won';

-- numbers
WITH defined AS (
    SELECT 'rmse' AS metric, (SELECT sqrt(sum(w * (p - y) ^ 2) / sum(w)) FROM amount) AS value
    UNION ALL
    SELECT 'mae', (SELECT sum(w * abs(p - y)) / sum(w) FROM amount)
    UNION ALL
    SELECT 'r2', (SELECT 1 - sum(w * (p - y) ^ 2) / sum(w * (y - mean) ^ 2)
                    FROM amount, (SELECT sum(w * y) / sum(w) AS mean FROM amount) AS m)
    UNION ALL
    SELECT 'max_error', (SELECT max(abs(p - y)) FROM amount)
    UNION ALL
    SELECT 'poisson_deviance', (SELECT sum(w * 2 * (y * ln(y / p) - y + p)) / sum(w) FROM counted)
    UNION ALL
    SELECT 'gamma_deviance', (SELECT sum(w * 2 * (ln(p / y) + y / p - 1)) / sum(w) FROM counted)
)
SELECT metric, abs((training_metrics ->> metric)::float8 - value) < 1e-12 AS as_defined, value > 0.1 AS not_trivial
  FROM defined, mlops.version
 WHERE model = CASE WHEN metric LIKE '%deviance' THEN 'metrics_counted' ELSE 'metrics_amount' END
 ORDER BY metric;

-- deviances are of counts and of positive numbers: elsewhere they are not defined
SELECT (SELECT min(y) FROM amount) < 0 AS negative, training_metrics -> 'poisson_deviance' AS poisson_deviance,
       training_metrics -> 'gamma_deviance' AS gamma_deviance
  FROM mlops.version WHERE model = 'metrics_amount';

-- a constant prediction ranks nothing, explains nothing, and is never positive
SELECT (baseline_metrics ->> 'roc_auc')::float8 = 0.5 AS auc_is_half,
       baseline_metrics -> 'precision' = 'null' OR (baseline_metrics ->> 'recall')::float8 IN (0, 1) AS all_or_nothing
  FROM mlops.version WHERE model = 'metrics_won';
SELECT abs((baseline_metrics ->> 'r2')::float8) < 1e-12 AS r2_is_zero FROM mlops.version WHERE model = 'metrics_amount';

SELECT count(mlops_drop_model(model)) AS dropped FROM mlops.model WHERE model LIKE 'metrics\_%';
DROP SCHEMA metrics_test CASCADE;
