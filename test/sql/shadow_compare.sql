-- mlops_compare_live(): what it compares by. Registered metrics, which take columns of the logged inputs; slices; and beside the
-- interval and the p value of one look those that hold whenever, and however often, one looks. What a shadow is and how it
-- is compared is in shadow.sql.

CREATE SCHEMA shadow_compare_test;
SET search_path = shadow_compare_test;
\set SHOW_CONTEXT never
SET client_min_messages = error;

-- whether somebody leaves depends on calls and not on noise: version 1 has learned nothing, version 2 what there is
CREATE TABLE customer AS
SELECT i AS id, (i % 10)::float8 AS calls, (hashint4(i) % 7)::float8 AS noise, i % 50 AS amount, (ARRAY['basic', 'pro'])[1 + i % 2] AS plan,
       CASE WHEN i % 10 + hashint4(i + 1000) % 5 > 5 THEN 'yes' ELSE 'no' END AS left_us FROM generate_series(1, 300) AS i;
SELECT mlops_create_model('shade_live', target => 'left_us', positive => 'yes');
SELECT mlops_train_now('shade_live', 'SELECT noise, left_us FROM customer', 'left_us', algorithm => 'logistic_regression') AS version;
SELECT mlops_train_now('shade_live', 'SELECT calls, left_us FROM customer', 'left_us', algorithm => 'logistic_regression') AS version;
SELECT (mlops_promote('shade_live', 1, threshold => 0.5)).version;
SELECT mlops_set_model('shade_live', '{"log_sample": 1, "log_input": true}');
SELECT mlops_shadow('shade_live', 2, name => 's', share => 1);

-- what is kept by calling who would leave, worth the amount of the row; 5 a call. And two of our own metrics once more
CREATE FUNCTION keep_step(numeric, boolean, boolean, numeric) RETURNS numeric LANGUAGE sql IMMUTABLE
AS 'SELECT $1 + CASE WHEN $2 THEN CASE WHEN $3 THEN $4 ELSE 0 END - 5 ELSE 0 END';
CREATE AGGREGATE kept(boolean, boolean, numeric) (sfunc = keep_step, stype = numeric, initcond = '0');
CREATE FUNCTION mean_last(float8[]) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT $1[1] / NULLIF($1[2], 0)';
CREATE FUNCTION right_step(float8[], text, text) RETURNS float8[] LANGUAGE sql IMMUTABLE AS 'SELECT ARRAY[$1[1] + ($2 = $3)::int, $1[2] + 1]';
CREATE AGGREGATE share_right(text, text) (sfunc = right_step, stype = float8[], initcond = '{0,0}', finalfunc = mean_last);
CREATE FUNCTION square_step(float8[], float8, float8) RETURNS float8[] LANGUAGE sql IMMUTABLE AS 'SELECT ARRAY[$1[1] + ($2 - $3) ^ 2, $1[2] + 1]';
CREATE AGGREGATE mean_square(float8, float8) (sfunc = square_step, stype = float8[], initcond = '{0,0}', finalfunc = mean_last);
SELECT mlops_create_metric('shade_kept', 'kept(boolean, boolean, numeric)', true, columns => '{amount}', tasks => '{binary}'),
       mlops_create_metric('shade_right', 'share_right(text, text)', true, tasks => '{binary,multiclass}'),
       mlops_create_metric('shade_square', 'mean_square(float8, float8)', false, tasks => '{binary,regression}');

SELECT count(*) FROM mlops_score('shade_live', 'SELECT id, calls, noise, amount, plan FROM customer', 'id');
SELECT count(mlops_record_outcome('shade_live', id::text, left_us)) FROM customer;
CREATE TABLE said AS
SELECT c.*, l.at, l.prediction, l.label, (l.shadows -> 's' ->> 'prediction')::float8 AS shadow_prediction, l.shadows -> 's' ->> 'label' AS shadow_label
  FROM mlops.prediction AS l JOIN customer AS c ON c.id::text = l.key WHERE l.model = 'shade_live';
RESET client_min_messages;

-- A registered metric is asked of what the shadow said and of what was answered, on the same rows, overall and by slice
SELECT c.slice, c.metric, c.n, c.candidate = h.candidate AS candidate, c.champion = h.champion AS champion, c.difference = h.candidate - h.champion AS difference,
       c.low < c.difference AND c.difference < c.high AS interval, (c.p_value < 0.05) = (c.low > 0 OR c.high < 0) AS p_value
  FROM mlops_compare_live('shade_live', 's', metrics => '{shade_kept}', slices => '{plan}', as_of => clock_timestamp()) AS c
  JOIN (SELECT CASE WHEN grouping(plan) = 1 THEN '' ELSE format('plan = %L', plan) END AS slice,
               sum(CASE WHEN shadow_label = 'yes' THEN CASE WHEN left_us = 'yes' THEN amount ELSE 0 END - 5 ELSE 0 END)::float8 AS candidate,
               sum(CASE WHEN label = 'yes' THEN CASE WHEN left_us = 'yes' THEN amount ELSE 0 END - 5 ELSE 0 END)::float8 AS champion
          FROM said GROUP BY GROUPING SETS ((), (plan))) AS h USING (slice) ORDER BY c.slice COLLATE "C";
-- one that says what a metric of ours says has its values, and an interval about as wide: that of a jackknife of thirty groups
SELECT c.metric, abs(c.candidate - o.candidate) + abs(c.champion - o.champion) < 1e-12 AS values, (c.high - c.low) / (o.high - o.low) BETWEEN 0.7 AND 1.4 AS as_wide
  FROM (VALUES ('shade_right', 'accuracy'), ('shade_square', 'brier')) AS m (metric, ours),
       LATERAL mlops_compare_live('shade_live', 's', metrics => ARRAY[m.metric], as_of => clock_timestamp()) AS c,
       LATERAL mlops_compare_live('shade_live', 's', metrics => ARRAY[m.ours], as_of => clock_timestamp()) AS o ORDER BY c.metric;
-- it can be the model's own, which is compared where none is named
SELECT mlops_set_model('shade_live', '{"metric": "shade_kept"}');
SELECT metric, n FROM mlops_compare_live('shade_live', 's', as_of => clock_timestamp());
SELECT mlops_set_model('shade_live', '{"metric": null}');
-- where no logged input has its column it is left out; so is a slice by a column that there is not: a notice says so, as mlops_performance does
SELECT mlops_set_model('shade_live', '{"log_input": null}');
CREATE TABLE later AS SELECT clock_timestamp() AS at;
SELECT count(*) FROM mlops_score('shade_live', 'SELECT id + 1000 AS id, calls, noise FROM customer', 'id');
SELECT count(mlops_record_outcome('shade_live', (id + 1000)::text, left_us, clock_timestamp())) FROM customer;
SELECT metric, slice, n FROM mlops_compare_live('shade_live', 's', metrics => '{shade_kept, accuracy}', slices => '{plan, planet}',
       period => clock_timestamp() - (SELECT at FROM later), as_of => clock_timestamp());
SELECT slice, metric FROM mlops_compare_live('shade_live', 's', metrics => '{accuracy}', slices => '{plan, planet}', as_of => clock_timestamp());

-- Of several classes, and of numbers
SET client_min_messages = error;
CREATE TABLE flower AS
SELECT i AS id, (i % 10)::float8 AS a, (hashint4(i) % 7)::float8 AS b, CASE WHEN i % 10 < 3 THEN 'low' WHEN i % 10 < 7 THEN 'mid' ELSE 'top' END AS kind FROM generate_series(1, 150) AS i;
SELECT mlops_train_now('shade_live_kind', format('SELECT %s, kind FROM flower', f), 'kind', algorithm => 'naive_bayes') AS version FROM (VALUES ('b'), ('a')) AS v (f);
SELECT mlops_train_now('shade_live_number', format('SELECT %s, a + b AS y FROM flower', f), 'y', algorithm => 'linear_regression') AS version FROM (VALUES ('b'), ('a')) AS v (f);
SELECT (mlops_promote(m, 1)).version, mlops_shadow(m, 2, share => 1) FROM unnest('{shade_live_kind,shade_live_number}'::text[]) AS m;
SELECT count(*) FROM unnest('{shade_live_kind,shade_live_number}'::text[]) AS m, mlops_score(m, 'SELECT id, a, b FROM flower', 'id');
SELECT count(mlops_record_outcome('shade_live_kind', id::text, kind)), count(mlops_record_outcome('shade_live_number', id::text, (a + b)::text)) FROM flower;
RESET client_min_messages;
SELECT c.metric, c.n, abs(c.candidate - o.candidate ^ power) + abs(c.champion - o.champion ^ power) < 1e-9 AS same
  FROM (VALUES ('shade_live_kind', 'shade_right', 'accuracy', 1), ('shade_live_number', 'shade_square', 'rmse', 2)) AS m (model, metric, ours, power),
       LATERAL mlops_compare_live(m.model, '2', metrics => ARRAY[m.metric], as_of => clock_timestamp()) AS c,
       LATERAL mlops_compare_live(m.model, '2', metrics => ARRAY[m.ours], as_of => clock_timestamp()) AS o ORDER BY c.metric;

-- The interval of all looks, by hand: the mixture of sequential.c over the differences of rows, of n keys
CREATE FUNCTION always(d float8, error float8, n float8, OUT low float8, OUT high float8, OUT p_value float8) LANGUAGE sql IMMUTABLE AS $$
    SELECT d - r, d + r, least(exp(0.5 * ln(1 + u) - 0.5 * (d / error) ^ 2 * u / (1 + u)), 1)
      FROM (SELECT n * (-2 * ln(0.05) + ln(1 - 2 * ln(0.05))) / 1000 AS u) AS t, LATERAL (SELECT error * sqrt(2 * (1 + u) / u * (0.5 * ln(1 + u) - ln(0.05))) AS r) AS s $$;
SELECT c.metric, abs(c.always_low - h.low) + abs(c.always_high - h.high) < 1e-9 AS as_by_hand, abs(c.always_p_value / h.p_value - 1) < 1e-6 AS p_value,
       c.always_low < c.low AND c.always_high > c.high AND c.always_p_value > c.p_value AS wider
  FROM mlops_compare_live('shade_live', 's', metrics => '{accuracy, brier}', as_of => (SELECT at FROM later)) AS c
  JOIN (SELECT 'accuracy' AS metric, avg(d) AS d, sqrt(sum(d * d) - sum(d) ^ 2 / count(*)) / count(*) AS error, count(*) AS n
          FROM (SELECT ((shadow_label = left_us)::int - (label = left_us)::int)::float8 AS d FROM said) AS s
        UNION ALL SELECT 'brier', avg(d), sqrt(var_samp(d) / count(*)), count(*)
          FROM (SELECT (shadow_prediction - (left_us = 'yes')::int) ^ 2 - (prediction - (left_us = 'yes')::int) ^ 2 AS d FROM said) AS s) AS e USING (metric),
       LATERAL always(e.d, e.error, e.n) AS h ORDER BY c.metric;
-- calls of one key are one: what each key said three times is as sure as what it said once
CREATE TABLE again AS SELECT clock_timestamp() AS at;
DO $$ BEGIN
    FOR i IN 1 .. 3 LOOP
        PERFORM mlops_score('shade_live', 'SELECT * FROM customer', 'id');
        PERFORM mlops_record_outcome('shade_live', id::text, left_us, clock_timestamp()) FROM customer;
    END LOOP;
END $$;
SELECT t.n, o.n, (t.always_high - t.always_low) / (o.always_high - o.always_low) BETWEEN 0.95 AND 1.05 AS as_sure
  FROM mlops_compare_live('shade_live', 's', metrics => '{accuracy}', period => clock_timestamp() - (SELECT at FROM again), as_of => clock_timestamp()) AS t,
       mlops_compare_live('shade_live', 's', metrics => '{accuracy}', as_of => (SELECT at FROM later)) AS o;
-- there is none of fewer than a hundred keys, of what is bootstrapped, and of registered metrics
SELECT mlops_forget('shade_live', id::text) IS NOT NULL AS gone FROM customer WHERE id = 300;
SELECT metric, n, always_low IS NULL AND always_high IS NULL AND always_p_value IS NULL AS none, low IS NOT NULL AS once
  FROM mlops_compare_live('shade_live', 's', metrics => '{accuracy, pr_auc, shade_right}', as_of => (SELECT at FROM later)) ORDER BY metric;
SELECT count(mlops_forget('shade_live', id::text)) FROM customer WHERE id > 100 AND id < 300;
SELECT n, always_low IS NULL AS none FROM mlops_compare_live('shade_live', 's', metrics => '{accuracy}', as_of => (SELECT at FROM later));
SELECT count(mlops_forget('shade_live', id::text)) FROM customer WHERE id = 100;
SELECT n, always_low IS NULL AS none FROM mlops_compare_live('shade_live', 's', metrics => '{accuracy}', as_of => (SELECT at FROM later));

-- A registered metric runs as who wrote it, who must be allowed to read the model
SET client_min_messages = error;
CREATE ROLE regress_ml_shade_author;
GRANT CREATE, USAGE ON SCHEMA shadow_compare_test, mlops TO regress_ml_shade_author;
SET ROLE regress_ml_shade_author;
CREATE AGGREGATE mine(text, text) (sfunc = right_step, stype = float8[], initcond = '{0,0}', finalfunc = mean_last);
SELECT mlops_create_metric('shade_mine', 'mine(text, text)', true, tasks => '{binary}');
RESET ROLE;
RESET client_min_messages;
SELECT metric FROM mlops_compare_live('shade_live', 's', metrics => '{shade_mine}', as_of => (SELECT at FROM later));
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_grant('shade_live', 'regress_ml_shade_author', 'read');
SELECT metric, n FROM mlops_compare_live('shade_live', 's', metrics => '{shade_mine}', as_of => (SELECT at FROM later));

SET client_min_messages = error;
SELECT mlops_drop_model('shade_live', force => true), mlops_drop_model('shade_live_kind', force => true), mlops_drop_model('shade_live_number', force => true);
SELECT mlops_drop_metric(m) FROM unnest('{shade_kept,shade_right,shade_square,shade_mine}'::text[]) AS m;
DROP SCHEMA shadow_compare_test CASCADE;
REVOKE ALL ON SCHEMA mlops FROM regress_ml_shade_author;
DROP ROLE regress_ml_shade_author;
