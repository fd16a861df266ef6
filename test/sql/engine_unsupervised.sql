-- Clusters and components by queries over the source: k-means draws its first
-- centres from the same sample of rows as in memory, the different ones of least
-- hash, and so goes the same way; components come of one pass. What rows lose is
-- measured by queries too.
CREATE SCHEMA engine_unsupervised;
SET search_path = engine_unsupervised;
SET client_min_messages = error;
\set SHOW_CONTEXT never
\i test/sql/include/engines.sql

-- ---- clusters: assignments and inertia ----

CREATE FUNCTION clusters(model text, params jsonb, weight text DEFAULT NULL, exclude text[] DEFAULT '{id}', holdout float8 DEFAULT 0.2,
                         OUT assigned_alike bool, OUT same_inertia bool, OUT same_rows bool, OUT same_metrics bool)
LANGUAGE plpgsql AS $$
BEGIN
    SELECT c.same_rows, c.same_metrics INTO same_rows, same_metrics
      FROM compare(model, 'engine_unsupervised.t', NULL, 'kmeans', params, weight => weight, exclude => exclude, holdout => holdout) AS c;
    SELECT avg((mlops_predict(model || '/1', t) = mlops_predict(model || '/2', t))::int) >= 0.9999 INTO assigned_alike FROM t;
    SELECT max((facts ->> 'inertia')::float8) / min((facts ->> 'inertia')::float8) - 1 < 1e-9 INTO same_inertia
      FROM mlops.version AS v WHERE v.model = clusters.model;
END
$$;

-- numbers with missing values, categories, times and arrays
SELECT * FROM clusters('five', '{"k": 5}');
SELECT * FROM clusters('weighted', '{"k": 3, "standardise": false}', weight => 'w', exclude => '{id,plan,k,c,v,at,day}');
SELECT * FROM clusters('many', '{"k": 40, "restarts": 3}', exclude => '{id,w,plan,at}');
-- without a hold-out metrics are of the training rows
SELECT assigned_alike, same_inertia, same_rows FROM clusters('all', '{"k": 4, "impute": "median"}', exclude => '{id,at}', holdout => 0);
SELECT bool_and(abs((e.number #>> '{}')::float8 - (s.training_metrics ->> e.name)::float8) <= 1e-9) AS same_metrics, count(*) AS metrics
  FROM mlops.version AS m, mlops.version AS s, jsonb_each(m.training_metrics) AS e (name, number)
 WHERE m.model = 'all' AND m.version = 1 AND s.model = 'all' AND s.version = 2;
-- iterations that run out give the same warning
SELECT same_inertia FROM clusters('short', '{"k": 9, "max_iterations": 2}', exclude => '{id,plan}');
SELECT version, cardinality(warnings) AS warnings FROM mlops.version WHERE model = 'short' ORDER BY version;

-- ---- components ----

SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics
  FROM compare('components', 'SELECT a, b, f, z, y, v FROM engine_unsupervised.t', NULL, 'pca', '{"components": 4}');
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics
  FROM compare('plans', 'SELECT a, b + sin(id) AS b, z * a AS z, y, w, plan FROM engine_unsupervised.t', NULL, 'pca',
               '{"components": 3, "min_category_rows": 1000, "standardise": false}', weight => 'w');
SELECT max(abs(m - s)) < 1e-10 AS same FROM t, unnest(mlops_transform('components/1', t), mlops_transform('components/2', t)) AS u (m, s);

-- anyone may ask what queries ask of a row: a model that predicts nothing has no outputs, one with a target no losses
SELECT mlops_train_now('line', 'SELECT a, b, y FROM engine_unsupervised.t', 'y');
SELECT mlops.row_outputs(mlops_bundle('components/1'), '{a}', 1.0) IS NULL AS no_outputs, mlops.row_loss(mlops_bundle('line/1'), '{a,b}', 1, 2) IS NULL AS no_loss,
       cardinality(mlops.row_loss(mlops_bundle('components/1'), '{a,b,f,z,y,v}', ROW(1, 2, true, NULL::float8, 4, ARRAY[1, 2, 3]))) AS losses,
       mlops.row_outputs(mlops_bundle('line/1'), '{a,b}', ROW(1, 2)) = mlops.row_outputs(mlops_bundle('line/1'), '{b,a}', 2, 1) AS same,
       mlops.bundle_predict_columns(mlops_bundle('line/1'), '{a,b}', ROW(1::float8, 2::float8)) = mlops_predict(mlops_bundle('line/1'), '{"a": 1, "b": 2}'::jsonb) AS same_prediction;

-- ---- rows that do not fit: losses of a sample ----

SET mlops.max_training_memory = '2MB';
SELECT mlops_train_now('large', 'SELECT i % 7 AS a, sin(i) AS b, i % 5 * 3 AS c FROM generate_series(1, 120000) AS i', algorithm => 'kmeans', params => '{"k": 3}');
SELECT rows_read, spec #>> '{options,engine}' AS engine, (SELECT count(*) FROM unnest(warnings) AS w WHERE w LIKE '%sample%') AS sampled,
       (holdout_metrics ->> 'inertia')::float8 < (baseline_metrics ->> 'inertia')::float8 AS better_than_the_mean
  FROM mlops.version WHERE model = 'large';
RESET mlops.max_training_memory;

-- ---- refused ----

SELECT mlops_train_now('no', 'SELECT a, b FROM engine_unsupervised.t', algorithm => 'isolation_forest', options => '{"engine": "sql"}');
SELECT mlops_train_now('no', 'SELECT 1 AS a, 2 AS b FROM engine_unsupervised.t', algorithm => 'pca', options => '{"engine": "sql"}');
SELECT mlops_train_now('no', 'SELECT a FROM engine_unsupervised.t', algorithm => 'kmeans', params => '{"k": 10}', holdout => 0, options => '{"engine": "sql"}');
SELECT mlops_train_now('no', 'SELECT a FROM engine_unsupervised.t WHERE false', algorithm => 'kmeans', options => '{"engine": "sql"}');

SELECT count(mlops_drop_model(m)::text) FROM unnest('{five,weighted,many,all,short,components,plans,large,line}'::text[]) AS m;
DROP SCHEMA engine_unsupervised CASCADE;
