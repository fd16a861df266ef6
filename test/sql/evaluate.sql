-- A version is judged by labelled rows that it was not trained on: metrics overall
-- and by slice, each with an interval, the baseline beside it and how many rows it is of.

CREATE SCHEMA evaluate_test;
SET search_path = evaluate_test;
SET client_min_messages = warning;
CREATE TABLE customer AS
SELECT i AS id, i % 60 AS age, (ARRAY['basic', 'pro', 'max'])[1 + i * 7 % 3] AS plan, i * 37 % 101 + i / 10000.0 AS used,
       ((i * 7919 % 1000) / 1000.0 < 1 / (1 + exp(-(0.06 * (i % 60 - 30) + CASE WHEN i * 7 % 3 = 0 THEN 1 ELSE 0 END)))) AS churned
  FROM generate_series(1, 3000) AS i;
SELECT mlops_train_now('churn', 'SELECT age, plan, used, churned FROM customer WHERE id <= 2000', 'churned', holdout => 0);
CREATE VIEW fresh AS SELECT * FROM customer WHERE id > 2000;
RESET client_min_messages;

-- The figures are those that plain SQL gives.
SELECT metric, abs(value - plain) < 1e-12 AS as_in_sql, low < value AND value < high AS inside, n, seen
  FROM mlops_evaluate_query('churn/1', 'fresh', metrics => '{accuracy,brier,log_loss}') AS e
  JOIN (SELECT avg(((p >= 0.5) = y)::int) AS accuracy, avg((p - y::int) ^ 2) AS brier, avg(-ln(CASE WHEN y THEN p ELSE 1 - p END)) AS log_loss
          FROM (SELECT mlops_predict('churn/1', f) AS p, churned AS y FROM fresh AS f) AS s) AS s ON true,
       LATERAL (SELECT CASE metric WHEN 'accuracy' THEN accuracy WHEN 'brier' THEN brier ELSE log_loss END AS plain) AS p ORDER BY 1;

-- The baseline is the constant that the training rows suggest.
SELECT metric, abs(baseline - plain) < 1e-12 AS as_in_sql
  FROM mlops_evaluate_query('churn/1', 'fresh', metrics => '{brier,roc_auc}') AS e,
       LATERAL (SELECT CASE metric WHEN 'roc_auc' THEN 0.5 ELSE (SELECT avg((share - churned::int) ^ 2) FROM fresh) END AS plain
                  FROM (SELECT avg(churned::int) AS share FROM customer WHERE id <= 2000) AS s) AS b ORDER BY 1;

-- By default the model's metric comes first, then those of its task that need no bootstrap.
SELECT string_agg(metric, ' ' ORDER BY o) AS metrics FROM mlops_evaluate_query('churn/1', 'fresh') WITH ORDINALITY AS e (slice, metric, value, low, high, n, baseline, seen, o);

-- Slices: the values of a column, or a condition, in the order in which they are asked for.
SELECT slice, n, abs(value - plain) < 1e-12 AS as_in_sql
  FROM mlops_evaluate_query('churn/1', 'fresh', slices => '{used > 50,plan,age < 10}', metrics => '{accuracy}') AS e
  JOIN LATERAL (SELECT avg(((mlops_predict('churn/1', f) >= 0.5) = churned)::int) AS plain FROM fresh AS f
                 WHERE CASE slice WHEN '' THEN true WHEN 'used > 50' THEN used > 50 WHEN 'age < 10' THEN age < 10 ELSE slice = format('plan = %L', plan) END) AS s ON true;

-- A row of weight 3 counts as three, one of weight 0 not at all.
SELECT abs(w.value - r.value) < 1e-12 AS same_value, w.n, r.n AS repeated, w.high - w.low > r.high - r.low AS less_sure
  FROM mlops_evaluate_query('churn/1', 'SELECT *, CASE WHEN used < 20 THEN 3 WHEN used > 90 THEN 0 ELSE 1 END AS w FROM fresh', metrics => '{roc_auc}', weight => 'w') AS w,
       mlops_evaluate_query('churn/1', 'SELECT f.* FROM fresh AS f, generate_series(1, CASE WHEN used < 20 THEN 3 WHEN used > 90 THEN 0 ELSE 1 END)', metrics => '{roc_auc}') AS r;

-- The same rows give the same figures in whatever order they are stored, the bootstrap's too.
SELECT (SELECT array_agg(e) FROM mlops_evaluate_query('churn/1', 'SELECT * FROM fresh ORDER BY id', metrics => '{pr_auc,log_loss}', slices => '{plan}') AS e) =
       (SELECT array_agg(e) FROM mlops_evaluate_query('churn/1', 'SELECT * FROM fresh ORDER BY md5(id::text)', metrics => '{pr_auc,log_loss}', slices => '{plan}') AS e) AS same;

-- The target may have another name; rows whose label is unknown are left out, and said so.
SELECT n FROM mlops_evaluate_query('churn/1', 'SELECT age, plan, used, CASE WHEN id > 2900 THEN NULL ELSE churned END AS truth FROM fresh', target => 'truth', metrics => '{roc_auc}');

-- On an edition of a validation set the figures are evidence, and stay.
SET client_min_messages = warning;
SELECT (mlops_promote('churn', 1)).version;
SELECT mlops_create_validation_set('churn', 'spring', 'SELECT id, age, plan, used, churned FROM fresh', key => 'id', slices => '{plan}');
SELECT edition, rows FROM mlops_refresh_validation_set('churn', 'spring');
RESET client_min_messages;
SELECT e.slice, e.n, e.value = q.value AS as_of_the_query, e.low < e.value AS has_interval
  FROM mlops_evaluate('churn', metrics => '{accuracy}') AS e JOIN mlops_evaluate_query('churn', 'fresh', slices => '{plan}', metrics => '{accuracy}') AS q USING (slice) ORDER BY 1;
SELECT version, validation_set, edition, slice, metric, n, seen, threshold, value BETWEEN low AND high AS inside, evaluated_by = current_user AS by_me, stale
  FROM mlops.evaluation WHERE model = 'churn' ORDER BY slice, metric;

-- Evaluated again, evidence takes the place of the older one. Not stored: in a
-- transaction that is read-only, and with rows of the training data in it.
SELECT count(*) FROM mlops_evaluate('churn/1', 'spring', 1, '{accuracy,pr_auc}');
SELECT count(*) FROM mlops.evaluation WHERE model = 'churn';
BEGIN READ ONLY;
SELECT count(*) FROM mlops_evaluate('churn', metrics => '{mcc}');
ROLLBACK;
SELECT count(*) FROM mlops_evaluate('churn', metrics => '{mcc}', include_seen => true);
SELECT count(*) FROM mlops.evaluation WHERE model = 'churn' AND metric = 'mcc';

-- Another primary metric ages what is there and judges the versions in use again.
SELECT mlops_set_model('churn', '{"metric": "log_loss"}');
SELECT metric, bool_and(stale) AS stale, count(*) FROM mlops.evaluation WHERE model = 'churn' AND metric IN ('accuracy', 'log_loss', 'pr_auc') GROUP BY 1 ORDER BY 1;

-- The tick judges the versions in use on the editions that it makes.
SET client_min_messages = warning;
SELECT mlops_create_validation_set('churn', 'ticking', 'SELECT id, age, plan, used, churned FROM fresh', key => 'id');
CALL mlops_tick();
RESET client_min_messages;
SELECT version, edition, n FROM mlops.evaluation WHERE model = 'churn' AND validation_set = 'ticking' AND metric = 'log_loss';
SELECT mlops_drop_validation_set('churn', 'ticking');

-- A registered metric is one like the others; its interval is that of a jackknife.
CREATE FUNCTION profit_step(state float8, p float8, left_us boolean, used float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS
'SELECT state + CASE WHEN p < 0.6 THEN 0 WHEN left_us THEN used ELSE -20 END';
CREATE AGGREGATE profit(float8, boolean, float8) (sfunc = profit_step, stype = float8, initcond = '0');
SELECT mlops_create_metric('evaluate_profit', 'evaluate_test.profit(float8, boolean, float8)', higher_is_better => true, columns => '{used}');
SELECT slice, n, abs(value - plain) < 1e-6 AS as_in_sql, low < value AND value < high AS inside
  FROM mlops_evaluate_query('churn/1', 'fresh', slices => '{plan}', metrics => '{evaluate_profit}') AS e,
       LATERAL (SELECT profit(mlops_predict('churn/1', f), churned, used::float8) AS plain FROM fresh AS f WHERE slice IN ('', format('plan = %L', plan))) AS p;
SELECT mlops_drop_metric('evaluate_profit');

-- Numbers: the baseline is the mean of the training rows.
SET client_min_messages = warning;
SELECT mlops_train_now('used', 'SELECT age, plan, used + age AS total FROM customer WHERE id <= 2000', 'total', holdout => 0);
RESET client_min_messages;
SELECT metric, abs(baseline - plain) < 1e-9 AS baseline, low < value AND value < high AS inside
  FROM mlops_evaluate_query('used/1', 'SELECT age, plan, used + age AS total FROM fresh', metrics => '{rmse,mae,r2,explained_variance}') AS e,
       LATERAL (SELECT CASE metric WHEN 'explained_variance' THEN 0 WHEN 'rmse' THEN sqrt(avg((m - used - age) ^ 2)) WHEN 'mae' THEN avg(abs(m - used - age)) ELSE 1 - avg((m - used - age) ^ 2) / var_pop(used + age) END AS plain
                  FROM fresh, (SELECT avg(used + age)::float8 AS m FROM customer WHERE id <= 2000) AS t) AS p ORDER BY 1;

-- Without a target: what rows lose.
SET client_min_messages = warning;
SELECT mlops_train_now('groups', 'SELECT age, used FROM customer WHERE id <= 2000', algorithm => 'kmeans', params => '{"k": 3}', holdout => 0);
RESET client_min_messages;
SELECT metric, low < value AND value < high AS inside, baseline > value AS better_than_the_mean
  FROM mlops_evaluate_query('groups/1', 'SELECT age + 0.5 AS age, used FROM fresh', metrics => '{inertia}');

-- Dropping a version or a set takes its evidence along.
SELECT mlops_drop_validation_set('churn', 'spring');
SELECT count(*) FROM mlops.evaluation;
SELECT mlops_drop_model('churn', force => true), mlops_drop_model('used'), mlops_drop_model('groups');
SELECT count(*) FROM mlops_catalog.training_row;
SET client_min_messages = warning;
DROP SCHEMA evaluate_test CASCADE;
