-- Clusters, components and anomaly scores are learned from features alone:
-- such algorithms take no target. Everything after training is as with one: a
-- hold-out, metrics to compare versions by, promotion, retraining, reproducing.

CREATE SCHEMA unsupervised_test;
SET search_path = unsupervised_test;
SET client_min_messages = warning;
CREATE TABLE points AS
SELECT i AS id, (i % 3) * 10 + sin(i) AS x, (i % 3 / 2) * 10 + cos(i) AS y, (i % 3)::text AS kind
  FROM generate_series(1, 600) AS i;

SELECT algorithm, tasks FROM mlops_algorithms()
 WHERE tasks && ARRAY['cluster', 'anomaly', 'projection'] ORDER BY algorithm COLLATE "C";

-- what rows lose by being replaced by their cluster's centre is measured on the hold-out; all at the mean is the baseline
SELECT mlops_train_now('shops', 'SELECT x, y FROM points', algorithm => 'kmeans', params => '{"k": 3}') AS version;
SELECT model, target, task, metric FROM mlops.model WHERE model = 'shops';
SELECT round((holdout_metrics ->> 'inertia')::numeric, 3) AS inertia,
       round((holdout_metrics ->> 'explained_variance')::numeric, 2) AS explained_variance,
       (holdout_metrics ->> 'silhouette')::float8 > 0.8 AS well_apart,
       (baseline_metrics ->> 'explained_variance')::float8 AS baseline,
       rows_training + rows_holdout AS rows
  FROM mlops.version WHERE model = 'shops';

-- versions are compared, promoted and described as others are
SELECT mlops_train_now('shops', 'SELECT x, y FROM points', algorithm => 'kmeans', params => '{"k": 2}') AS version;
SELECT version FROM mlops.version WHERE model = 'shops' ORDER BY (holdout_metrics ->> 'inertia')::float8 LIMIT 1;
SELECT (mlops_promote('shops', 1)).version;
SELECT version, algorithm, metric, value > 0 AS measured FROM mlops_status() WHERE model = 'shops';
SELECT line FROM regexp_split_to_table(mlops_describe('shops'), '\n') AS line WHERE line ~ '^(version|predicts|columns)';
SELECT count(*) AS centres_named FROM regexp_matches(mlops_describe('shops'), '\(cluster \d\)', 'g');
SELECT count(DISTINCT mlops_predict('shops', p)) AS clusters,
       count(DISTINCT (mlops_predict_label('shops', p), kind)) AS pairs FROM points AS p;

-- without an algorithm the model's usual one is taken; its spec trains again, to the same bytes
SELECT mlops_train_now('shops', 'SELECT x, y FROM points', params => '{"k": 3}') AS version;
CALL mlops_retrain('shops');
CALL mlops_reproduce('shops/1', NULL, NULL);
SELECT count(DISTINCT sha256) AS different FROM mlops.version WHERE model = 'shops' AND version IN (1, 3, 4);

-- the order in which rows are stored does not matter
SELECT mlops_train_now('shops', 'SELECT x, y FROM points ORDER BY md5(id::text)', params => '{"k": 3}') AS version;
SELECT count(DISTINCT sha256) AS different FROM mlops.version WHERE model = 'shops' AND version IN (1, 5);

-- components only transform
SELECT mlops_train_now('space', 'SELECT x, y FROM points', algorithm => 'pca', params => '{"components": 1}') AS version;
SELECT task, metric FROM mlops.model WHERE model = 'space';
SELECT array_length(mlops_transform('space/1', p), 1) AS dimensions FROM points AS p WHERE id = 1;
SELECT mlops_predict('space/1', p) FROM points AS p WHERE id = 1;

-- anomaly scores have no measure without labels
SELECT mlops_train_now('odd', 'SELECT x, y FROM points', algorithm => 'isolation_forest') AS version;
SELECT m.task, m.metric, v.training_metrics FROM mlops.model AS m JOIN mlops.version AS v USING (model) WHERE model = 'odd';
SELECT (mlops_promote('odd', 1)).version;
SELECT version, metric, value FROM mlops_status() WHERE model = 'odd';
SELECT mlops_set_model('odd', '{"metric": "rmse"}');

-- a target is refused; what must not be a feature is excluded
CALL mlops_train('refused', 'points', 'kind', algorithm => 'kmeans');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('refused', 'points', algorithm => 'kmeans', exclude => '{nothing}');
SELECT mlops_train_now('kinds', 'points', algorithm => 'kmeans', params => '{"k": 3}', exclude => '{id}') AS version;
SELECT feature FROM mlops_coefficients('kinds/1') GROUP BY feature ORDER BY feature COLLATE "C";

-- a model has one task
CALL mlops_train('shops', 'SELECT x, y FROM points', algorithm => 'pca');
CALL mlops_train('shops', 'SELECT x, y FROM points', 'y');
CALL mlops_train('refused', 'SELECT x, y FROM points');
CALL mlops_train('refused', 'SELECT x, y FROM points', algorithm => 'linear_regression');
SELECT mlops_train_now('line', 'SELECT x, y FROM points', 'y') AS version;
CALL mlops_train('line', 'SELECT x, y FROM points', algorithm => 'kmeans');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_set_model('shops', '{"target": "y"}');
CALL mlops_train('refused', 'SELECT x, y FROM points', algorithm => 'pca', params => '{"class_weight": "balanced"}');

SELECT count(mlops_drop_model(m, force => true)::text) AS dropped FROM unnest(ARRAY['shops', 'space', 'odd', 'kinds', 'line']) AS m;
DROP SCHEMA unsupervised_test CASCADE;
