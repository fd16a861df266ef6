-- What a prediction is worth is known to the business. Any aggregate over
-- (prediction, label [, columns of the row]) can be registered as a metric, and a
-- model judged by it. It runs as who registered it, who must be allowed to read the
-- model, and can do no more than read.

CREATE SCHEMA business_metric_test;
SET search_path = business_metric_test;
SET client_min_messages = warning;
CREATE ROLE regress_ml_ann;
CREATE ROLE regress_ml_ben;
GRANT CREATE ON SCHEMA mlops TO regress_ml_ann, regress_ml_ben;
GRANT CREATE, USAGE ON SCHEMA business_metric_test TO regress_ml_ann, regress_ml_ben;
SET ROLE regress_ml_ann;

-- who is called costs 2, who would have gone and is kept is worth a third of what they spend
CREATE FUNCTION add_call(sum numeric, prediction float8, churned boolean, spend numeric) RETURNS numeric IMMUTABLE LANGUAGE sql
AS $$ SELECT sum + CASE WHEN prediction >= 0.5 THEN CASE WHEN churned THEN spend / 3 ELSE 0 END - 2 ELSE 0 END $$;
CREATE AGGREGATE profit(float8, boolean, numeric) (SFUNC = add_call, STYPE = numeric, INITCOND = '0');
CREATE TABLE customer AS
SELECT i AS id, (i * 7919 % 101) / 101.0 AS usage, i % 5 AS calls, (i % 50)::numeric AS spend, (i * 7919 % 101) / 101.0 + (i * 31 % 17) / 17.0 > 0.9 AS churned
  FROM generate_series(1, 1000) AS i;

SELECT mlops_create_metric('profit', 'profit(float8, boolean, numeric)', higher_is_better => true, columns => ARRAY['spend'],
                           description => 'what a campaign earns that calls everybody at 0.5 or above');
SELECT metric, aggregate, columns, tasks, higher_is_better, minimum, author FROM mlops.metric;
SELECT metric, tasks, higher_is_better, minimum, maximum, summary, author FROM mlops_metrics() WHERE author IS NOT NULL;

-- ---- a model is judged by it ----

SELECT mlops_create_model('worth', target => 'churned', metric => 'profit');
CALL mlops_train('worth', 'customer', exclude => ARRAY['id'], holdout => 0);
SELECT abs((training_metrics ->> 'profit')::float8 - (SELECT profit(mlops_predict('worth/1', c), churned, spend) FROM customer AS c)) < 1e-6 AS measured,
       (baseline_metrics ->> 'profit')::float8 <> (training_metrics ->> 'profit')::float8 AS baseline_is_another, warnings = '{}' AS no_warnings
  FROM mlops.version WHERE model = 'worth';
CALL mlops_search('worth', source => 'customer', target => 'churned', exclude => ARRAY['id'],
                  space => '{"algorithm": ["baseline", "decision_tree"]}', budget => '{"candidates": 2}') \gset found_
SELECT bool_and(metric = 'profit') AS by_profit, (array_agg(algorithm ORDER BY value DESC))[1]
       = (SELECT algorithm FROM mlops.version WHERE model = 'worth' AND version = 2) AS the_most_profitable_was_trained
  FROM mlops.run WHERE model = 'worth' AND candidate IS NOT NULL;

-- rows without the column: trained all the same, and not measured by it
CALL mlops_train('worth', 'SELECT usage, calls, churned FROM customer');
SELECT warnings FROM mlops.version WHERE model = 'worth' AND version = 3;
-- an aggregate that raises costs the value, not the training
CREATE FUNCTION add_ratio(sum float8, prediction float8, churned boolean) RETURNS float8 LANGUAGE plpgsql
AS $$BEGIN RETURN sum + 1 / (prediction - prediction); END$$;
CREATE AGGREGATE ratio(float8, boolean) (SFUNC = add_ratio, STYPE = float8, INITCOND = '0');
SELECT mlops_create_metric('ratio', 'ratio', false, minimum => 0);
SELECT mlops_set_model('worth', '{"metric": "ratio"}');
CALL mlops_train('worth', 'customer', exclude => ARRAY['id']);
SELECT warnings FROM mlops.version WHERE model = 'worth' AND version = 4;
-- as does one that writes
CREATE TABLE seen (prediction float8);
CREATE FUNCTION add_seen(sum float8, prediction float8, churned boolean) RETURNS float8 LANGUAGE plpgsql
AS $$BEGIN INSERT INTO business_metric_test.seen VALUES (prediction); RETURN sum; END$$;
CREATE AGGREGATE seeing(float8, boolean) (SFUNC = add_seen, STYPE = float8, INITCOND = '0');
SELECT mlops_create_metric('seeing', 'seeing', false);
SELECT mlops_set_model('worth', '{"metric": "seeing"}');
CALL mlops_train('worth', 'customer', exclude => ARRAY['id']);
SELECT warnings FROM mlops.version WHERE model = 'worth' AND version = 5;

-- classes by name, numbers, and the weight of the row
CREATE FUNCTION add_right(sum float8, prediction text, label text, weight float8) RETURNS float8 IMMUTABLE LANGUAGE sql
AS $$ SELECT sum + CASE WHEN prediction = label THEN weight ELSE 0 END $$;
CREATE FUNCTION add_one_right(sum float8, prediction text, label text) RETURNS float8 IMMUTABLE LANGUAGE sql
AS $$ SELECT sum + (prediction = label)::int $$;
CREATE AGGREGATE weight_right(text, text, float8) (SFUNC = add_right, STYPE = float8, INITCOND = '0');
SELECT mlops_create_metric('weight_right', 'weight_right', true, ARRAY['mlops_weight']);
SELECT mlops_create_model('worth_text', metric => 'weight_right');
CALL mlops_train('worth_text', 'SELECT usage, calls, CASE WHEN churned THEN ''gone'' ELSE ''stays'' END AS state, 1 + id % 3 AS w FROM customer', 'state', weight => 'w', holdout => 0);
SELECT abs((training_metrics ->> 'weight_right')::float8
           - (SELECT sum(w) FROM (SELECT 1 + id % 3 AS w, mlops_predict_label('worth_text/1', c) AS said, CASE WHEN churned THEN 'gone' ELSE 'stays' END AS state FROM customer AS c) AS s
               WHERE said = state)) < 1e-6 AS by_weight
  FROM mlops.version WHERE model = 'worth_text';
-- an aggregate that does not ask for the weight counts every row the same, and the version says so
CREATE AGGREGATE rows_right(text, text) (SFUNC = add_one_right, STYPE = float8, INITCOND = '0');
SELECT mlops_create_metric('rows_right', 'rows_right', true);
SELECT mlops_set_model('worth_text', '{"metric": "rows_right"}');
CALL mlops_train('worth_text', 'SELECT usage, calls, CASE WHEN churned THEN ''gone'' ELSE ''stays'' END AS state, 1 + id % 3 AS w FROM customer', 'state', weight => 'w', holdout => 0);

-- ---- whose it is ----

-- ben may judge by ann's metric what ann may read
SET ROLE regress_ml_ben;
SELECT mlops_create_model('ben', metric => 'profit');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_create_model('ben');
SELECT mlops_grant('ben', 'regress_ml_ann', 'read');
SELECT mlops_set_model('ben', '{"metric": "profit"}');
SELECT mlops_create_metric('profit', 'avg(float8)', true);
SELECT mlops_drop_metric('profit');
\echo :LAST_ERROR_SQLSTATE
-- it runs as ann, shut in: what ben's session holds does not stand in for what it names
SET ROLE regress_ml_ann;
CREATE FUNCTION add_who(sum float8, prediction float8, churned boolean) RETURNS float8 LANGUAGE plpgsql
AS $$BEGIN IF sum = 0 THEN RAISE WARNING 'runs as %, read only: %', current_user, current_setting('transaction_read_only'); END IF; RETURN sum + 1; END$$;
CREATE AGGREGATE who(float8, boolean) (SFUNC = add_who, STYPE = float8, INITCOND = '0');
SELECT mlops_create_metric('who', 'who', true);
RESET ROLE;
SELECT mlops_set_model('ben', '{"metric": "who"}');
GRANT SELECT ON customer TO regress_ml_ben;
SET ROLE regress_ml_ben;
CALL mlops_train('ben', 'SELECT usage, churned FROM business_metric_test.customer', 'churned', holdout => 0);
CREATE TEMP TABLE stands_in (i int);
CALL mlops_train('ben', 'SELECT usage, churned FROM business_metric_test.customer', 'churned', holdout => 0);
DISCARD TEMP;
-- when ann may read the model no more, it cannot be trained for her metric
SELECT mlops_revoke('ben', 'regress_ml_ann', 'read');
CALL mlops_train('ben', 'SELECT usage, churned FROM business_metric_test.customer', 'churned', holdout => 0);

-- the name of a type of its aggregate can come to be another's: what suited a number is given no number then
SET ROLE regress_ml_ann;
CREATE DOMAIN amount AS float8;
CREATE FUNCTION add_amount(sum float8, prediction amount, label amount) RETURNS float8 LANGUAGE sql AS $$ SELECT sum + 1 $$;
CREATE AGGREGATE amounts(amount, amount) (SFUNC = add_amount, STYPE = float8, INITCOND = '0');
SELECT mlops_create_metric('amounts', 'amounts', true);
SELECT mlops_train_now('worth_spends', 'SELECT usage, calls, spend FROM customer', 'spend');
SELECT value FROM mlops_evaluate_query('worth_spends/1', 'SELECT usage, calls, spend FROM customer', metrics => ARRAY['amounts'], include_seen => true);
DROP AGGREGATE amounts(amount, amount);
DROP FUNCTION add_amount;
DROP DOMAIN amount;
CREATE DOMAIN amount AS text;
CREATE FUNCTION add_amount(sum float8, prediction amount, label amount) RETURNS float8 LANGUAGE sql AS $$ SELECT sum + 1 $$;
CREATE AGGREGATE amounts(amount, amount) (SFUNC = add_amount, STYPE = float8, INITCOND = '0');
SELECT value FROM mlops_evaluate_query('worth_spends/1', 'SELECT usage, calls, spend FROM customer', metrics => ARRAY['amounts'], include_seen => true);

-- ---- refused ----
SET ROLE regress_ml_ann;
SELECT mlops_drop_metric('seeing');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_create_metric('seeing', 'ratio', false);
SELECT mlops_create_metric('roc_auc', 'profit', true);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_create_metric('no', 'add_ratio', true);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_create_metric('no', 'nothing(float8)', true);
SELECT mlops_create_metric('no', 'profit(float8, boolean, numeric)', true);
SELECT mlops_create_metric('no', 'pg_catalog.string_agg(text, text)', true);
SELECT mlops_create_metric('no', 'pg_catalog.corr', true, tasks => ARRAY['binary', 'cluster']);
SELECT mlops_create_metric('no', 'pg_catalog.corr', true, minimum => 1, maximum => 0);
SELECT mlops_create_metric('no', 'pg_catalog.corr', NULL);
SELECT mlops_create_metric('no', 'pg_catalog.percentile_disc(float8, anyelement)', true);
SELECT mlops_create_metric('a/b', 'pg_catalog.corr', true);
SELECT mlops_drop_metric('profits');
SELECT mlops_drop_metric('rmse');
SELECT mlops_set_model('worth', '{"metric": "profi"}');
SELECT mlops_create_metric('spread', 'pg_catalog.corr', true, tasks => ARRAY['regression']);
SELECT mlops_set_model('worth', '{"metric": "spread"}');
SELECT * FROM mlops_permutation_importance('worth/1', 'customer', metric => 'profit');
REVOKE EXECUTE ON FUNCTION profit(float8, boolean, numeric) FROM PUBLIC;
SET ROLE regress_ml_ben;
SELECT mlops_create_metric('no', 'business_metric_test.profit', true, ARRAY['spend']);
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
REVOKE CREATE ON SCHEMA mlops FROM regress_ml_ben;
SET ROLE regress_ml_ben;
SELECT mlops_create_metric('no', 'pg_catalog.corr', true);
SELECT count(*) AS rows FROM mlops_catalog.metric;

-- an aggregate that was dropped is missed when it is to run; a metric can be dropped when no model names it
SET ROLE regress_ml_ann;
SELECT mlops_set_model('worth', '{"metric": "profit"}');
DROP AGGREGATE profit(float8, boolean, numeric);
CALL mlops_train('worth', 'customer', exclude => ARRAY['id']);
SELECT mlops_drop_metric('ratio');

RESET ROLE;
SELECT count(*) AS rows_seen FROM seen;
SELECT count(mlops_drop_model(model)) AS dropped FROM mlops.model WHERE model LIKE 'worth%' OR model = 'ben';
SELECT count(mlops_drop_metric(metric)) AS dropped FROM mlops.metric;
DROP SCHEMA business_metric_test CASCADE;
REVOKE CREATE ON SCHEMA mlops FROM regress_ml_ann;
DROP ROLE regress_ml_ann, regress_ml_ben;
