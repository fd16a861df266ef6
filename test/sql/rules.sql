-- Rules serve as part of the bundle: promoted with a version, rolled back with
-- it, applied on every way of scoring - and by nothing else than what serves.
CREATE SCHEMA ml_rules;
SET search_path = ml_rules;
\set SHOW_CONTEXT never
CREATE TABLE customer (id int, tenure float8, plan text, signup timestamp, country text, churned boolean);
INSERT INTO customer SELECT i, i % 40, (ARRAY['basic', 'pro', 'gold'])[1 + i % 3], timestamp '2024-01-01' + i * interval '6 hours',
                            CASE WHEN i % 5 > 0 THEN (ARRAY['DE', 'FR'])[1 + i % 2] END, i % 40 + i * 7 % 50 < 40
                       FROM generate_series(1, 400) AS i;
SET client_min_messages = error;
SELECT mlops_train_now('churn', 'SELECT tenure, plan, signup, churned FROM customer', 'churned') AS first,
       mlops_train_now('churn', 'SELECT tenure, plan, churned FROM customer', 'churned') AS second;
SELECT version FROM mlops_promote('churn', 1);
RESET client_min_messages;

-- one of each action; country is no feature, so it is declared
SELECT mlops_create_rules('churn', '{"columns": {"country": "text"}, "rules": [
    {"name": "cap", "when": "prediction > 0.6", "then": {"clip": [0, 0.6]}},
    {"name": "loyal", "when": "tenure >= 38 AND plan IN (''gold'', ''pro'')", "then": {"set": 0.05}, "stop": true},
    {"name": "no country", "when": "country IS NULL", "then": {"suppress": true}},
    {"name": "march", "when": "extract(month FROM signup) = 3", "then": {"use": 2}},
    {"name": "look", "when": "country = ''FR'' AND label = ''true''", "then": {"label": "review"}}]}', note => 'first try');
SELECT version, rules FROM mlops_promote('churn', 1, rules => 1);

-- what each rule makes of a row, said again in SQL
CREATE VIEW expected AS
SELECT c AS row, c.*, base, CASE WHEN c.tenure >= 38 AND c.plan IN ('gold', 'pro') THEN 0.05
                       WHEN extract(month FROM c.signup) = 3 THEN mlops_predict('churn/2', c)
                       WHEN c.country IS NULL THEN NULL
                       ELSE least(base, 0.6) END AS prediction
  FROM customer AS c, LATERAL (SELECT mlops_predict('churn/1', c) AS base OFFSET 0) AS b;
CREATE VIEW expected_label AS
SELECT *, CASE WHEN prediction IS NULL THEN NULL
               WHEN NOT (tenure >= 38 AND plan IN ('gold', 'pro')) AND country = 'FR' AND prediction >= 0.5 THEN 'review'
               ELSE (prediction >= 0.5)::text END AS label FROM expected;
SELECT count(*) FILTER (WHERE prediction = 0.6) > 10 AS capped, count(*) FILTER (WHERE prediction = 0.05) > 10 AS loyal,
       count(*) FILTER (WHERE prediction IS NULL) > 10 AS without, count(*) FILTER (WHERE label = 'review') > 10 AS reviewed,
       count(*) FILTER (WHERE extract(month FROM signup) = 3) > 10 AS march FROM expected_label;

-- on columns, a record, json, jsonb, text and a bundle
SELECT count(*) AS rows, bool_and(mlops_predict('churn', c) IS NOT DISTINCT FROM e.prediction) AS columns,
       bool_and(mlops_predict('churn', e.row) IS NOT DISTINCT FROM e.prediction) AS record,
       bool_and(mlops_predict('churn', to_jsonb(c)) IS NOT DISTINCT FROM e.prediction) AS jsonb,
       bool_and(mlops_predict('churn', to_json(c)) IS NOT DISTINCT FROM e.prediction) AS json,
       bool_and(mlops_predict('churn', to_json(c)::text) IS NOT DISTINCT FROM e.prediction) AS text
  FROM customer AS c JOIN expected AS e USING (id);
SELECT bool_and(mlops_predict(b, c) IS NOT DISTINCT FROM e.prediction) AS columns,
       bool_and(mlops_predict(b, e.row) IS NOT DISTINCT FROM e.prediction) AS record,
       bool_and(mlops_predict(b, to_jsonb(c)) IS NOT DISTINCT FROM e.prediction) AS jsonb,
       bool_and(mlops_predict_label(b, c) IS NOT DISTINCT FROM e.label) AS label,
       bool_and(mlops_predict(b::text::mlops.bundle, c) IS NOT DISTINCT FROM e.prediction) AS read_back
  FROM customer AS c JOIN expected_label AS e USING (id), (SELECT mlops_bundle('churn') AS b OFFSET 0) AS b;
SELECT bool_and(mlops_predict_label('churn', c) IS NOT DISTINCT FROM e.label) AS label,
       bool_and(a.prediction IS NOT DISTINCT FROM e.prediction AND a.label IS NOT DISTINCT FROM e.label) AS predict_all,
       bool_and((mlops_predict_proba('churn', c) ->> 'true')::float8 IS NOT DISTINCT FROM e.prediction) AS proba
  FROM customer AS c JOIN expected_label AS e USING (id), mlops_predict_all('churn', e.row) AS a;

-- whatever byte of it is changed, a bundle with rules is refused, unless it is of what is free: the time of now(), a number
CREATE FUNCTION damaged(bundle bytea, at int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_byte(bundle, at, (get_byte(bundle, at) + 1) % 256)::text::mlops.bundle;
    RETURN 'read';
EXCEPTION WHEN SQLSTATE 'ML004' THEN
    RETURN 'refused';
END $$;
SELECT count(*) FILTER (WHERE damaged = 'refused') * 10 > count(*) * 9 AS refused, bool_and(at < 192) FILTER (WHERE damaged = 'read') AS read_header
  FROM (SELECT at, damaged(b, at) AS damaged FROM (SELECT mlops_bundle('churn')::text::bytea AS b OFFSET 0) AS b, generate_series(64, length(b) - 1, 3) AS at) AS d;

-- an alias and a number are what was trained, without rules
SELECT bool_and(mlops_predict('churn/1', c) = e.base) AS pinned, bool_and(mlops_predict(mlops_bundle('churn/1'), c) = e.base) AS pinned_bundle
  FROM customer AS c JOIN expected AS e USING (id) WHERE id < 30;

-- workers of a parallel plan apply them too
BEGIN;
SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0; SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 2; SET LOCAL parallel_leader_participation = off;
CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS off) ' || query; END $$;
SELECT bool_or(line LIKE '%Gather%') AS parallel FROM pg_temp.plan('SELECT sum(mlops_predict(''churn'', c)) FROM customer AS c') AS line;
SELECT round(sum(mlops_predict('churn', c))::numeric, 6) = (SELECT round(sum(prediction)::numeric, 6) FROM expected) AS same_sum FROM customer AS c;
ROLLBACK;

-- a row of NULLs scores NULL, whatever the rules say
SELECT mlops_predict('churn', (NULL, NULL, NULL, NULL, NULL, NULL)::customer) IS NULL AS of_nulls, mlops_predict('churn', NULL::customer) IS NULL AS is_null;
-- the input has the declared column, or there is an error
SELECT mlops_predict('churn', r) FROM (SELECT tenure, plan, signup FROM customer LIMIT 1) AS r;
SELECT mlops_predict('churn', to_jsonb(r)) FROM (SELECT tenure, plan, signup FROM customer LIMIT 1) AS r;
SELECT mlops_predict('churn', r) FROM (SELECT tenure, plan, signup, 7 AS country FROM customer LIMIT 1) AS r;
SELECT mlops_predict('churn', '{"tenure": 1, "plan": "pro", "signup": "2024-01-01", "country": 7}');

-- a new version takes over the rules that serve, if they suit it
SELECT version, rules FROM mlops_promote('churn', 2);
SELECT mlops_create_rules('churn', '[{"name": "never", "when": "plan = ''free''", "then": {"set": 0}}]') AS number;
SELECT version, rules FROM mlops_promote('churn', 2, rules => 2);
-- rules that use a version need its columns too: declared, if what serves does not read them
SELECT mlops_create_rules('churn', '[{"name": "old", "when": "plan = ''pro''", "then": {"use": 1}}]') AS number;
SELECT version, rules FROM mlops_promote('churn', 2, rules => 3);
SELECT mlops_create_rules('churn', '{"columns": {"signup": "timestamp"}, "rules": [{"name": "old", "when": "plan = ''pro''", "then": {"use": 1}}]}') AS number;
BEGIN;
SET LOCAL client_min_messages = warning;
SELECT version, rules FROM mlops_promote('churn', 2, rules => 4);
SELECT bool_and(mlops_predict('churn', c) = mlops_predict(CASE WHEN plan = 'pro' THEN 'churn/1' ELSE 'churn/2' END, c)) AS as_said FROM customer AS c;
ROLLBACK;
-- one that served before, those it served with
SELECT version, rules FROM mlops_promote('churn', 1);
-- 0 removes them
SELECT version, rules FROM mlops_promote('churn', 1, rules => 0);
SELECT bool_and(mlops_predict('churn', c) = mlops_predict('churn/1', c)) AS without FROM customer AS c;
-- the same bundle again is no deployment, other rules are one
SELECT deployment, rules FROM mlops_promote('churn', 1, rules => 0);
-- rollback brings version, threshold and rules back together
SELECT version, threshold, rules FROM mlops_rollback('churn');
SELECT bool_and(mlops_predict('churn', c) IS NOT DISTINCT FROM e.prediction) AS with_rules FROM customer AS c JOIN expected AS e USING (id);
SELECT version, rules FROM mlops_rollback('churn');
SELECT version, rules FROM mlops_rollback('churn', 2);
SELECT number, action, version, rules FROM mlops.deployment WHERE model = 'churn' ORDER BY number;
SELECT version, rules FROM mlops.serving WHERE model = 'churn';

-- a promotion is a transaction, prepared statements follow it
PREPARE score AS SELECT mlops_predict('churn', c) > 0.6 AS above FROM customer AS c WHERE id = 41;
SET plan_cache_mode = force_generic_plan;
EXECUTE score;
BEGIN;
SET LOCAL client_min_messages = warning;
SELECT version, rules FROM mlops_promote('churn', 1, rules => 1);
EXECUTE score;
ROLLBACK;
EXECUTE score;
RESET plan_cache_mode;

-- the fallback is what the alias says when the statement runs; without it nothing is predicted, and the error counted
SET client_min_messages = warning;
SELECT mlops_create_rules('churn', '[{"name": "old", "when": "signup < ''2024-01-10''", "then": {"use": "fallback"}}]') AS number;
SELECT version, rules FROM mlops_promote('churn', 1, rules => 5);
SELECT bool_and(mlops_predict('churn', c) IS NULL) AS no_fallback, bool_and(mlops_predict(mlops_bundle('churn'), c) IS NULL) AS in_bundle FROM customer AS c WHERE id < 30;
SELECT mlops_set_alias('churn', 'fallback', 2);
SELECT bool_and(mlops_predict('churn', c) = mlops_predict('churn/2', c)) AS fallback,
       bool_and(mlops_predict(mlops_bundle('churn'), c) = mlops_predict('churn/2', c)) AS in_bundle FROM customer AS c WHERE id < 30;
-- whose own rules do not run: the fallback may even be what serves
SELECT mlops_set_alias('churn', 'fallback', 1);
SELECT bool_and(mlops_predict('churn', c) = mlops_predict('churn/1', c)) AS itself FROM customer AS c WHERE id < 30;

-- the key, in each of its types; a call without key has none
SELECT mlops_create_rules('churn', '[{"name": "known", "when": "key IN (''7'', ''00000000-0000-0000-0000-000000000007'')", "then": {"set": 0.125}},
                                     {"name": "unknown", "when": "key IS NULL", "then": {"set": 0.25}}]') AS number;
SELECT version, rules FROM mlops_promote('churn', 1, rules => 6);
SELECT mlops_predict('churn', c, 7) AS bigint, mlops_predict('churn', c, '7') AS text,
       mlops_predict('churn', c, '00000000-0000-0000-0000-000000000007'::uuid) AS uuid, mlops_predict('churn', to_jsonb(c), '7') AS jsonb,
       mlops_predict('churn', c, 8) NOT IN (0.125, 0.25) AS other, mlops_predict('churn', c) AS none, mlops_predict(mlops_bundle('churn'), c) AS bundle
  FROM customer AS c WHERE id = 20;

-- rules of an explanation have rows of their own; the others add up to the model's score
SELECT version, rules FROM mlops_promote('churn', 1, rules => 1);
SELECT feature, value, contribution IS NULL AS without_contribution FROM customer AS c, LATERAL mlops_explain('churn', c) WHERE id = 38 AND feature LIKE '(rule%' ORDER BY feature;
SELECT abs(1 / (1 + exp(-sum(contribution))) - mlops_predict('churn/1', (SELECT c FROM customer AS c WHERE id = 38))) < 1e-12 AS adds_up
  FROM mlops_explain('churn', (SELECT c FROM customer AS c WHERE id = 38));
SELECT count(*) AS rules FROM mlops_explain('churn/1', (SELECT c FROM customer AS c WHERE id = 38)) WHERE feature LIKE '(rule%';

-- versions that use each other do not go round in circles: a version that is used has no rules
SET client_min_messages = error;
SELECT mlops_create_rules('churn', '[{"name": "to 2", "when": "true", "then": {"use": 2}}]') AS number,
       mlops_create_rules('churn', '{"columns": {"signup": "timestamp"}, "rules": [{"name": "to 1", "when": "true", "then": {"use": 1}}]}') AS back;
SELECT rules FROM mlops_promote('churn', 1, rules => 7);
SELECT rules FROM mlops_promote('churn', 2, share => 0.5, rules => 8);
SELECT count(*) FILTER (WHERE mlops_canary_position('churn', id) < 0.5) > 50 AS canary,
       bool_and(mlops_predict('churn', c, id) = mlops_predict(CASE WHEN mlops_canary_position('churn', id) < 0.5 THEN 'churn/1' ELSE 'churn/2' END, c)) AS crosswise
  FROM customer AS c;
SET client_min_messages = warning;

SELECT mlops_drop_model('churn', force => true);
DROP SCHEMA ml_rules CASCADE;
