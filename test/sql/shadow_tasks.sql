-- Shadows of models of every task: what is logged, and what can be compared. Of
-- several classes the log has a label and its probability, so that the metrics are those that depend on
-- labels alone; clusters have no outcomes. Slices are columns of the logged inputs.

CREATE SCHEMA shadow_tasks_test;
SET search_path = shadow_tasks_test;
\set SHOW_CONTEXT never
SET client_min_messages = error;

-- the kind depends on a: version 1 knows b alone, version 2 a
CREATE TABLE flower AS
SELECT i AS id, (i % 10)::float8 AS a, (hashint4(i) % 7)::float8 AS b,
       CASE WHEN i % 10 < 3 THEN 'low' WHEN i % 10 + hashint4(i + 5) % 3 < 7 THEN 'mid' ELSE 'top' END AS kind FROM generate_series(1, 150) AS i;

-- several classes
SELECT mlops_train_now('shade_kind', 'SELECT b, kind FROM flower', 'kind', algorithm => 'naive_bayes') AS version;
SELECT mlops_train_now('shade_kind', 'SELECT a, kind FROM flower', 'kind', algorithm => 'naive_bayes') AS version;
SELECT (mlops_promote('shade_kind', 1)).version;
SELECT mlops_set_model('shade_kind', '{"log_input": true}');
SELECT mlops_shadow('shade_kind', 2, name => 's', share => 1);
SELECT count(*) FROM mlops_score('shade_kind', 'SELECT id, a, b, a < 5 AS small FROM flower', 'id');
SELECT bool_and(l.shadows -> 's' ->> 'label' = mlops_predict_label('shade_kind/2', f)) AS labels,
       bool_and((l.shadows -> 's' ->> 'prediction')::float8 = (mlops_predict_proba('shade_kind/2', f) ->> (l.shadows -> 's' ->> 'label'))::float8) AS probabilities
  FROM mlops.prediction AS l JOIN flower AS f ON f.id::text = l.key WHERE model = 'shade_kind';
SELECT count(mlops_record_outcome('shade_kind', id::text, kind)) FROM flower;
-- log_loss needs the probability of every class: it is left out
SELECT c.slice, c.metric, c.n, c.p_value < 0.05 AS told, c.low <= c.difference AND c.difference <= c.high AS inside,
       CASE WHEN metric = 'accuracy' THEN abs(c.candidate - h.candidate) + abs(c.champion - h.champion) < 1e-12 END AS as_counted
  FROM mlops_compare_live('shade_kind', 's', metrics => '{accuracy, macro_f1, log_loss}', slices => '{small}', as_of => clock_timestamp()) AS c
  JOIN (SELECT CASE WHEN grouping(f.a < 5) = 1 THEN '' ELSE 'small = ' || (f.a < 5)::text END AS slice,
               avg((l.shadows -> 's' ->> 'label' = f.kind)::int) AS candidate, avg((l.label = f.kind)::int) AS champion
          FROM mlops.prediction AS l JOIN flower AS f ON f.id::text = l.key WHERE model = 'shade_kind' GROUP BY GROUPING SETS ((), (f.a < 5))) AS h USING (slice)
 ORDER BY c.slice COLLATE "C", c.metric;
SELECT shadow, ok, n, agreement BETWEEN 0 AND 1 AS agreement, difference FROM mlops_shadow_report('shade_kind', as_of => clock_timestamp());

-- numbers: a is c - b, so that version 2 is exact
SELECT mlops_train_now('shade_number', 'SELECT b, a AS y FROM flower', 'y', algorithm => 'baseline') AS version;
SELECT mlops_train_now('shade_number', 'SELECT b, a + b AS c, a AS y FROM flower', 'y', algorithm => 'linear_regression') AS version;
SELECT (mlops_promote('shade_number', 1)).version;
SELECT mlops_shadow('shade_number', 2, share => 1);
SELECT count(*) FROM mlops_score('shade_number', 'SELECT id, b, a + b AS c FROM flower', 'id');
SELECT count(mlops_record_outcome('shade_number', id::text, a::text)) FROM flower;
SELECT metric, n, candidate < 1e-9 AS exact, difference < 0 AS better, p_value < 1e-6 AS told
  FROM mlops_compare_live('shade_number', '2', metrics => '{rmse, mae}', as_of => clock_timestamp()) ORDER BY metric;
SELECT abs(r.difference / d.difference - 1) < 1e-9 AS difference, r.agreement
  FROM mlops_shadow_report('shade_number', as_of => clock_timestamp()) AS r,
       (SELECT avg(abs(l.prediction - f.a)) AS difference FROM mlops.prediction AS l JOIN flower AS f ON f.id::text = l.key WHERE model = 'shade_number') AS d;

-- clusters: numbers of clusters are no numbers, and nothing comes true
SELECT mlops_train_now('shade_cluster', 'SELECT a, b FROM flower', algorithm => 'kmeans', params => '{"k": 3}') AS version;
SELECT mlops_train_now('shade_cluster', 'SELECT a, b FROM flower', algorithm => 'kmeans', params => '{"k": 4}') AS version;
SELECT (mlops_promote('shade_cluster', 1)).version;
SELECT mlops_shadow('shade_cluster', 2, share => 1);
SELECT count(*) FROM mlops_score('shade_cluster', 'SELECT id, a, b FROM flower', 'id');
SELECT bool_and(l.shadows -> '2' ->> 'label' = mlops_predict_label('shade_cluster/2', f)) AS labels
  FROM mlops.prediction AS l JOIN flower AS f ON f.id::text = l.key WHERE model = 'shade_cluster';
SELECT shadow, ok, n, difference FROM mlops_shadow_report('shade_cluster', as_of => clock_timestamp());
SELECT * FROM mlops_compare_live('shade_cluster', '2', as_of => clock_timestamp());

SELECT mlops_drop_model('shade_kind', force => true), mlops_drop_model('shade_number', force => true), mlops_drop_model('shade_cluster', force => true);
DROP SCHEMA shadow_tasks_test CASCADE;
