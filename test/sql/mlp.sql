-- A network of one or two hidden layers learns what no weighted sum can say. It
-- keeps the weights that were best on a share of the training rows that it does
-- not learn from; its hidden layer is what mlops_transform gives. The same rows
-- and seed give the same bytes, in whatever order the rows are stored.

CREATE SCHEMA mlp_test;
SET search_path = mlp_test;
SET client_min_messages = warning;

-- exclusive or: true in two opposite quarters of the square
CREATE TABLE squares AS
SELECT i AS id, (i * 7919 % 1009) / 1009.0 AS a, (i * 6101 % 997) / 997.0 AS b FROM generate_series(1, 1500) AS i;
CREATE VIEW quarters AS SELECT a, b, (a > 0.5) <> (b > 0.5) AS y FROM squares;

CALL mlops_train('xor', 'quarters', 'y', algorithm => 'logistic_regression');
CALL mlops_train('xor', 'quarters', 'y', algorithm => 'mlp');
SELECT version, algorithm, (holdout_metrics ->> 'accuracy')::float8 > 0.95 AS learned
  FROM mlops.version WHERE model = 'xor' ORDER BY version;

-- all activations, one layer and two; several classes and numbers
SELECT count(mlops_train_now('kinds', 'quarters', 'y', algorithm => 'mlp',
                             params => jsonb_build_object('hidden', layers, 'activation', activation, 'learning_rate', 0.01))) AS trained
  FROM unnest(ARRAY['[24]', '[16, 8]']::jsonb[]) AS layers, unnest(ARRAY['relu', 'tanh', 'logistic']) AS activation;
SELECT params ->> 'hidden' AS hidden, params ->> 'activation' AS activation, (holdout_metrics ->> 'accuracy')::float8 > 0.95 AS learned
  FROM mlops.version WHERE model = 'kinds' ORDER BY version;
CREATE VIEW four AS SELECT a, b, CASE WHEN a > 0.5 THEN 'right' ELSE 'left' END || CASE WHEN b > 0.5 THEN ' up' ELSE ' down' END AS y FROM squares;
CALL mlops_train('four', 'four', 'y', algorithm => 'mlp');
SELECT (holdout_metrics ->> 'accuracy')::float8 > 0.95 AS learned FROM mlops.version WHERE model = 'four';
SELECT abs(sum(p.value::text::float8) - 1) < 1e-12 AS sum_is_one FROM jsonb_each(mlops_predict_proba('four/1', '{"a": 0.9, "b": 0.2}')) AS p;
CREATE VIEW hill AS SELECT a, b, 1e6 + 1000 * sin(6 * a) * b AS y FROM squares;
CALL mlops_train('hill', 'hill', 'y', algorithm => 'mlp');
SELECT (holdout_metrics ->> 'r2')::float8 > 0.98 AS learned FROM mlops.version WHERE model = 'hill';

-- what a fit says of itself
SELECT (facts ->> 'epochs')::int BETWEEN 1 AND 200 AS epochs, (facts ->> 'best_epoch')::int <= (facts ->> 'epochs')::int AS best,
       facts ->> 'parameters' AS parameters, facts ->> 'validation_rows' AS validation_rows
  FROM mlops.version WHERE model = 'hill';

-- what is missing counts as the mean, a category as its columns: rows and blocks score the same bits
CREATE TABLE mixed AS
SELECT id, CASE WHEN id % 7 > 0 THEN a END AS a, b, CASE WHEN id % 11 > 0 THEN 'level ' || id % 5 END AS c,
       a + CASE id % 5 WHEN 2 THEN b ELSE 0 END AS y
  FROM squares;
CALL mlops_train('mixed', 'SELECT a, b, c, y FROM mixed', 'y', algorithm => 'mlp', params => '{"missing_indicator": true, "hidden": [17, 5]}');
SELECT (holdout_metrics ->> 'r2')::float8 > 0.7 AS learned FROM mlops.version WHERE model = 'mixed';
SELECT count(*), count(*) FILTER (WHERE p IS NULL) AS not_scored
  FROM (SELECT mlops_predict('mixed/1', m) AS p FROM (SELECT a, b, c FROM mixed UNION ALL SELECT NULL, NULL, 'unseen') AS m) AS s;
CALL mlops_train('mixed', 'SELECT a, b, c, y FROM mixed', algorithm => 'mlp', params => '{"hidden": [17, 5]}', holdout => 0);
SELECT abs((SELECT sqrt(avg((mlops_predict('mixed/2', m) - y) ^ 2)) FROM mixed AS m) / (training_metrics ->> 'rmse')::float8 - 1) < 1e-12 AS same_error
  FROM mlops.version WHERE model = 'mixed' AND version = 2;

-- importance: b matters, and noise does not
CALL mlops_train('noisy', 'SELECT a AS noise, b, 10 * b * b AS y FROM squares', 'y', algorithm => 'mlp');
SELECT feature FROM mlops_importance('noisy/1') LIMIT 1;
SELECT * FROM mlops_coefficients('noisy/1');

-- the same bytes for the same rows in another order, for the same seed only
CREATE TABLE turned AS SELECT * FROM hill ORDER BY b, a DESC;
CALL mlops_train('again', 'hill', 'y', algorithm => 'mlp', params => '{"max_epochs": 5}');
CALL mlops_train('again', 'turned', algorithm => 'mlp', params => '{"max_epochs": 5}');
CALL mlops_train('again', 'turned', algorithm => 'mlp', params => '{"max_epochs": 5}', seed => 43);
SELECT version, sha256 = first_value(sha256) OVER (ORDER BY version) AS same_bytes FROM mlops.version WHERE model = 'again' ORDER BY version;

-- weights count: rows of weight 0 are no rows
CALL mlops_train('weighted', 'SELECT a, b, CASE WHEN a > 0.5 THEN 100 ELSE b END AS y, CASE WHEN a > 0.5 THEN 1e-9 ELSE 1 END AS w FROM squares', 'y',
                 weight => 'w', algorithm => 'mlp');
SELECT max(abs(mlops_predict('weighted/1', s) - b)) < 0.2 AS heavy_rows_fit FROM (SELECT a, b FROM squares WHERE a <= 0.5) AS s;

-- what is refused
CALL mlops_train('refused', 'hill', 'y', algorithm => 'mlp', params => '{"hidden": [8, 8, 8]}');
CALL mlops_train('refused', 'hill', 'y', algorithm => 'mlp', params => '{"hidden": [0]}');
CALL mlops_train('refused', 'hill', 'y', algorithm => 'mlp', params => '{"activation": "sigmoid"}');
CALL mlops_train('refused', 'SELECT CASE WHEN a > 0.9 THEN -1.7e308 ELSE 1.7e308 END::float8 AS huge, b AS y FROM squares', 'y', algorithm => 'mlp');
CALL mlops_train('refused', 'SELECT a, b AS y FROM squares LIMIT 1', 'y', algorithm => 'mlp', holdout => 0);
\set VERBOSITY terse
CALL mlops_train('refused', 'hill', 'y', algorithm => 'mlp', params => '{"learning_rate": 1000, "max_epochs": 3}');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default

SELECT count(mlops_drop_model(m, force => true)::text) AS dropped
  FROM unnest(ARRAY['xor', 'kinds', 'four', 'hill', 'mixed', 'noisy', 'again', 'weighted']) AS m;
DROP SCHEMA mlp_test CASCADE;
