-- Checks are what a row must be like for a version to be asked, and what the version
-- must answer. They are part of a rule set, come before its rules, and see the same
-- on every way of scoring.
CREATE SCHEMA ml_checks;
SET search_path = ml_checks;
\set SHOW_CONTEXT never
CREATE TABLE customer (id int, tenure float8, plan text, signup timestamp, churned boolean);
INSERT INTO customer SELECT i, i % 40, (ARRAY['basic', 'pro', 'gold'])[1 + i % 3], timestamp '2024-01-01' + i * interval '6 hours', i % 40 + i * 7 % 50 < 40
                       FROM generate_series(1, 400) AS i;
SET client_min_messages = error;
SELECT mlops_train_now('churn', 'SELECT tenure, plan, signup, churned FROM customer', 'churned') AS first,
       mlops_train_now('churn', 'SELECT tenure, plan, signup, churned FROM customer', 'churned', seed => 7) AS second;
RESET client_min_messages;
-- rows of today: one is as in training, each of the others is wrong in its own way
CREATE TABLE today (what text, tenure float8, plan text, signup timestamp);
INSERT INTO today VALUES ('as ever', 12, 'pro', '2024-02-01'), ('no tenure', NULL, 'pro', '2024-02-01'), ('long tenure', 41, 'pro', '2024-02-01'),
                         ('infinite', 'infinity', 'pro', '2024-02-01'), ('NaN', 'NaN', 'pro', '2024-02-01'), ('new plan', 12, 'platinum', '2024-02-01'),
                         ('no plan', 12, NULL, '2024-02-01'), ('no signup', 12, 'pro', NULL), ('all of it', 41, 'platinum', NULL), ('nothing', NULL, NULL, NULL);

-- checks without rules are a rule set as well
SELECT mlops_create_rules('churn', checks => '[
    {"name": "signed up",   "check": "missing", "column": "signup",  "severity": "hard"},
    {"name": "has numbers", "check": "missing", "columns": ["tenure"]},
    {"name": "plausible",   "check": "range",   "column": "tenure", "low": 0, "high": 40, "severity": "hard", "reason": "no longer than the shop is old"},
    {"name": "known plan",  "check": "unseen",  "column": "plan",   "severity": "soft"},
    {"name": "answer",      "check": "finite",  "severity": "hard"},
    {"name": "feed",        "check": "missing_share", "bounds": {"tenure": 0.1, "plan": 0.05}}]') AS number;
SELECT version, rules FROM mlops_promote('churn', 1, rules => 1);

-- they are kept as they were written, and what serves is shown column by column
SELECT number, rules, jsonb_array_length(checks) AS checks, checks -> 2 ->> 'reason' AS reason FROM mlops.rule_set WHERE model = 'churn';
SELECT position, name, kind, severity, column_name, low, high FROM mlops.serving_check WHERE model = 'churn' ORDER BY position, column_name COLLATE "C";

-- a row that fails a hard check is not answered; one that fails a soft one is, by the version
SELECT what, mlops_predict('churn', t) = mlops_predict('churn/1', t) AS as_the_version, mlops_predict('churn', t) IS NULL AS without FROM today AS t ORDER BY what COLLATE "C";
-- which were failed: a row in an explanation for each
SELECT t.what, string_agg(e.feature || ' ' || e.value, ', ' ORDER BY e.feature COLLATE "C") AS failed
  FROM today AS t, mlops_explain('churn', t) AS e WHERE e.feature LIKE '(check%' GROUP BY t.what ORDER BY t.what COLLATE "C";
-- the same, said in SQL: NaN and NULL are missing, bounds belong to the range
CREATE VIEW expected AS
SELECT t AS row, what, signup IS NULL OR coalesce(tenure NOT BETWEEN 0 AND 40 AND tenure <> 'NaN', false) AS barred FROM today AS t;

-- on every way of scoring: columns, a record, json, jsonb, text, a bundle, label, probabilities
CREATE FUNCTION pg_temp.as_said(answer float8, pinned float8, e expected) RETURNS boolean LANGUAGE sql AS
$$ SELECT answer IS NOT DISTINCT FROM CASE WHEN NOT e.barred THEN pinned END $$;
SELECT count(*) AS rows, bool_and(pg_temp.as_said(mlops_predict('churn', t), pinned, e)) AS columns,
       bool_and(pg_temp.as_said(mlops_predict('churn', e.row), pinned, e)) AS record,
       bool_and(pg_temp.as_said(mlops_predict('churn', to_jsonb(t)), pinned, e)) AS jsonb,
       bool_and(pg_temp.as_said(mlops_predict('churn', to_json(t)), pinned, e)) AS json,
       bool_and(pg_temp.as_said(mlops_predict('churn', to_json(t)::text), pinned, e)) AS text,
       bool_and(pg_temp.as_said(mlops_predict(b, t), pinned, e)) AS bundle,
       bool_and(pg_temp.as_said(mlops_predict(b::text::mlops.bundle, e.row), pinned, e)) AS bundle_read_back,
       bool_and((mlops_predict_label('churn', t) IS NULL) = (pinned IS NULL OR e.barred)) AS label,
       bool_and((mlops_predict_proba('churn', t) IS NULL) = (pinned IS NULL OR e.barred)) AS proba,
       bool_and(pg_temp.as_said(a.prediction, pinned, e)) AS predict_all
  FROM today AS t JOIN expected AS e USING (what), (SELECT mlops_bundle('churn') AS b OFFSET 0) AS b,
       LATERAL (SELECT mlops_predict('churn/1', t) AS pinned OFFSET 0) AS p, mlops_predict_all('churn', e.row) AS a;
-- workers of a parallel plan check, too
BEGIN;
SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0; SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 2; SET LOCAL parallel_leader_participation = off;
SELECT count(mlops_predict('churn', t)) = (SELECT count(*) FROM expected WHERE NOT barred) AS as_many FROM today AS t;
ROLLBACK;

-- a model of numbers alone, which reads them from the row as they are
SET client_min_messages = error;
SELECT mlops_train_now('sum', 'SELECT x AS a, (i % 7)::float8 AS b, 2 * x + i % 7 AS y FROM (SELECT i::float8 AS x, i FROM generate_series(1, 100) AS i) AS s', 'y', 'linear_regression', holdout => 0) AS version;
SELECT mlops_create_rules('sum', checks => '[{"name": "b", "check": "range", "column": "b", "high": 6, "severity": "hard"},
                                            {"name": "a", "check": "range", "column": "a", "low": 1, "severity": "soft"},
                                            {"name": "number", "check": "finite", "severity": "hard"}]') AS number;
SELECT rules FROM mlops_promote('sum', 1, rules => 1);
RESET client_min_messages;
SELECT a, b, round(mlops_predict('sum', r)::numeric, 6) AS columns, round(mlops_predict('sum', ARRAY[a, b])::numeric, 6) AS "array",
       round(mlops_predict('sum', jsonb_build_array(a, b))::numeric, 6) AS jsonb_array,
       (SELECT string_agg(feature, ' ' ORDER BY feature COLLATE "C") FROM mlops_explain('sum', r) WHERE feature LIKE '(check%') AS failed
  FROM (SELECT a, b FROM (VALUES (1::float8, 6::float8), (2, 6.5), (0, 1), (-1, 9), (NULL, 2), (1e308, 0)) AS v(a, b)) AS r;
-- columns in another order, and between others
SELECT mlops_predict('sum', r) IS NULL AS barred FROM (SELECT 'x' AS t, 7::float8 AS b, 3 AS i, 1::float8 AS a) AS r;

-- the fallback answers in place of nobody, and is checked for a finite answer only
SELECT mlops_set_alias('churn', 'fallback', 2);
SELECT count(*) FILTER (WHERE e.barred) AS barred,
       bool_and(mlops_predict('churn', t) IS NOT DISTINCT FROM mlops_predict(CASE WHEN e.barred THEN 'churn/2' ELSE 'churn/1' END, t)) AS as_said,
       bool_and(mlops_predict(mlops_bundle('churn'), t) IS NOT DISTINCT FROM mlops_predict('churn', t)) AS bundle
  FROM today AS t JOIN expected AS e USING (what);
SELECT feature, value FROM today AS t, mlops_explain('churn', t) WHERE what = 'no signup' AND feature LIKE '(check%';
-- the alias is what it stands for when the statement runs
SELECT mlops_set_alias('churn', 'fallback', 1);
SELECT bool_and(mlops_predict('churn', t) IS NOT DISTINCT FROM mlops_predict('churn/1', t)) AS itself FROM today AS t;
SELECT mlops_set_alias('churn', 'fallback', NULL);
SELECT bool_and((mlops_predict('churn', t) IS NULL) = e.barred) AS nobody FROM today AS t JOIN expected AS e USING (what);

-- rules apply to what the fallback says; where nobody answers, no rule does
SELECT mlops_create_rules('churn', '[{"name": "low", "when": "true", "then": {"set": 0.125}}]',
                          checks => '[{"name": "signed up", "check": "missing", "column": "signup", "severity": "hard"}]') AS number;
SELECT rules FROM mlops_promote('churn', 1, rules => 2);
SELECT what, mlops_predict('churn', t) FROM today AS t WHERE what IN ('as ever', 'no signup') ORDER BY what COLLATE "C";
SELECT mlops_set_alias('churn', 'fallback', 2);
SELECT what, mlops_predict('churn', t) FROM today AS t WHERE what IN ('as ever', 'no signup') ORDER BY what COLLATE "C";
SELECT feature, value FROM today AS t, mlops_explain('churn', t) WHERE what = 'no signup' AND feature LIKE '(%' AND feature <> '(base)' ORDER BY feature COLLATE "C";
SELECT mlops_set_alias('churn', 'fallback', NULL);

-- a JSON value of another type is an error of the statement, unless a check takes care of it
SELECT mlops_predict('churn', '{"tenure": "12", "plan": "pro", "signup": "2024-02-01"}'::jsonb);
SELECT mlops_create_rules('churn', checks => '[{"name": "tenure is a number", "check": "type", "column": "tenure", "severity": "hard"},
                                              {"name": "types", "check": "type", "severity": "soft"}]') AS number;
SELECT rules FROM mlops_promote('churn', 1, rules => 3);
CREATE TABLE document (n int, body jsonb);
INSERT INTO document VALUES (1, '{"tenure": 12, "plan": "pro", "signup": "2024-02-01"}'), (2, '{"tenure": "12", "plan": "pro", "signup": "2024-02-01"}'),
                            (3, '{"tenure": 12, "plan": 7, "signup": "2024-02-01"}'), (4, '{"tenure": 12, "plan": "pro", "signup": "last year"}'),
                            (5, '{"tenure": 12, "plan": "pro", "signup": 20240201}'), (6, '{"tenure": [], "plan": {}, "signup": true}'),
                            (7, '{"tenure": 12, "plan": null, "signup": "2024-02-01"}');
-- what is of another type is missing
SELECT n, mlops_predict('churn', body) = mlops_predict('churn/1', jsonb_build_object('tenure', body -> 'tenure',
              'plan', CASE jsonb_typeof(body -> 'plan') WHEN 'string' THEN body -> 'plan' END,
              'signup', CASE WHEN body ->> 'signup' LIKE '____-__-__' THEN body -> 'signup' END)) AS as_missing,
       (SELECT string_agg(feature || ' ' || value, ', ' ORDER BY feature COLLATE "C") FROM mlops_explain('churn', body) WHERE feature LIKE '(check%') AS failed
  FROM document WHERE jsonb_typeof(body -> 'tenure') = 'number' ORDER BY n;
SELECT n, mlops_predict('churn', body) IS NULL AS barred, mlops_predict('churn', body::json) IS NULL AS json, mlops_predict('churn', body::text) IS NULL AS text,
       mlops_predict(mlops_bundle('churn'), body) IS NULL AS bundle FROM document WHERE jsonb_typeof(body -> 'tenure') <> 'number' ORDER BY n;
-- the fallback takes such a row likewise
SELECT mlops_set_alias('churn', 'fallback', 2);
SELECT n, mlops_predict('churn', body) = mlops_predict('churn/2', '{"tenure": null, "plan": "pro", "signup": "2024-02-01"}') AS fallback,
       mlops_predict(mlops_bundle('churn'), body) = mlops_predict('churn', body) AS bundle FROM document WHERE n = 2;
-- a key that is not there, and a column of a table of another type, stay errors
SELECT mlops_predict('churn', '{"tenure": 12, "plan": "pro"}'::jsonb);
SELECT mlops_predict('churn', r) FROM (SELECT 'x' AS tenure, plan, signup FROM customer LIMIT 1) AS r;
-- columns that rules read are covered as well, arrays of numbers too
SELECT mlops_create_rules('churn', '{"columns": {"country": "text"}, "rules": [{"name": "far", "when": "country = ''NZ''", "then": {"set": 0.25}}]}',
                          checks => '[{"name": "country is text", "check": "type", "column": "country"}]') AS number;
SELECT rules FROM mlops_promote('churn', 1, rules => 4);
SELECT mlops_predict('churn', body || '{"country": "NZ"}') AS far, mlops_predict('churn', body || '{"country": 64}') = mlops_predict('churn/1', body) AS near
  FROM document WHERE n = 1;
SET client_min_messages = error;
SELECT mlops_train_now('vector', 'SELECT ARRAY[i, i % 5]::float8[] AS v, 3 * i AS y FROM generate_series(1, 60) AS i', 'y', 'linear_regression', holdout => 0) AS version;
SELECT mlops_create_rules('vector', checks => '[{"name": "types", "check": "type", "severity": "soft"}, {"name": "whole", "check": "missing", "column": "v", "severity": "hard"},
                                               {"name": "small", "check": "range", "column": "v", "high": 60, "severity": "soft"}]') AS number;
SELECT rules FROM mlops_promote('vector', 1, rules => 1);
RESET client_min_messages;
SELECT d AS document, round(mlops_predict('vector', d)::numeric, 6) AS prediction,
       (SELECT string_agg(feature, ' ' ORDER BY feature COLLATE "C") FROM mlops_explain('vector', d) WHERE feature LIKE '(check%') AS failed
  FROM unnest(ARRAY['{"v": [10, 0]}', '{"v": [10, "a"]}', '{"v": [1]}', '{"v": "x"}', '{"v": [61, 1]}', '{"v": [10, null]}', '[10, "b"]']::jsonb[]) AS d;

-- promoted and rolled back with the rules
SELECT version, rules FROM mlops_rollback('churn');
SELECT version, rules FROM mlops_rollback('churn');
SELECT what, mlops_predict('churn', t) FROM today AS t WHERE what = 'no signup';

-- a canary has checks of its own: those of the rule set that it was promoted with, in terms of its own columns
SET client_min_messages = error;
SELECT mlops_train_now('churn', 'SELECT plan, tenure, churned FROM customer', 'churned') AS third;
SELECT mlops_create_rules('churn', checks => '[{"name": "long", "check": "range", "column": "tenure", "high": 30, "severity": "hard"}]') AS number;
SELECT mlops_promote('churn', 1, rules => 1) IS NOT NULL AS active, mlops_promote('churn', 3, share => 0.5, rules => 5) IS NOT NULL AS canary;
RESET client_min_messages;
SELECT role, version, rules, name FROM mlops.serving_check WHERE model = 'churn' AND kind = 'range' ORDER BY role;
SELECT count(*) FILTER (WHERE canary) > 50 AS canary, count(*) FILTER (WHERE canary AND tenure > 30) > 5 AS to_fallback,
       bool_and(mlops_predict('churn', c, id) IS NOT DISTINCT FROM mlops_predict(CASE WHEN canary AND tenure > 30 THEN 'churn/2' WHEN canary THEN 'churn/3' ELSE 'churn/1' END, c)) AS as_said,
       bool_and(mlops_predict('churn', to_jsonb(c), id) IS NOT DISTINCT FROM mlops_predict('churn', c, id)) AS jsonb
  FROM customer AS c, LATERAL (SELECT mlops_canary_position('churn', id) < 0.5 AS canary OFFSET 0) AS p;
SET client_min_messages = error;
SELECT rules FROM mlops_rollback('churn');
SELECT rules FROM mlops_promote('churn', 1, rules => 1);
RESET client_min_messages;

-- what each check would do is tried before it serves: rows that fail, and what is predicted for them before and after
SELECT rule, rows, fired, errors, suppressed FROM mlops_check_rules('churn', 1, 'today');
SELECT mlops_set_alias('churn', 'fallback', NULL);
SELECT rule, rows, fired, suppressed FROM mlops_check_rules('churn', 1, 'today');
SELECT rule, rows, fired, suppressed FROM mlops_check_rules('churn', '[{"name": "high", "when": "prediction > 0.999", "then": {"suppress": true}}]'::jsonb, 'today',
                                                             checks => '[{"name": "p", "check": "unseen", "column": "plan", "severity": "hard"}]');
-- a gate on the share of rows on which rules decide counts hard checks
SET client_min_messages = error;
SELECT mlops_create_validation_set('churn', 'recent', 'SELECT id, tenure, plan, signup, churned FROM customer', 'churned', key => 'id') IS NOT NULL AS made;
SELECT (mlops_refresh_validation_set('churn', 'recent')).edition;
SELECT mlops_set_gate('churn', 'few decided', metric => 'rules_fired_share', maximum => 0.1, validation_set => 'recent');
SELECT mlops_create_rules('churn', checks => '[{"name": "short", "check": "range", "column": "tenure", "high": 19.5, "severity": "hard"}]') AS number;
SELECT gate, verdict, value FROM mlops_check_gates('churn', 2, rules => 6);
SELECT mlops_create_rules('churn', checks => '[{"name": "short", "check": "range", "column": "tenure", "high": 19.5, "severity": "soft"}]') AS number;
SELECT gate, verdict, value FROM mlops_check_gates('churn', 2, rules => 7);
RESET client_min_messages;

-- logged: bit i of checks_failed is the check at that place; of rules, what fired and what had no value
SELECT mlops_create_rules('churn', '[{"name": "ratio", "when": "1 / (tenure - 12) > 0", "then": {"clip": [0, 1]}}, {"name": "root", "when": "sqrt(-tenure) > 0 OR tenure > 40", "then": {"set": 0.5}}]',
                          checks => '[{"name": "known plan", "check": "unseen", "column": "plan"}, {"name": "signed up", "check": "missing", "column": "signup", "severity": "hard"}]') AS number;
SELECT rules FROM mlops_promote('churn', 1, rules => 8, force => true, reason => 'to see the log');
SELECT count(*) FROM mlops_score('churn', 'today', key => 'what');
SELECT p.key, p.prediction IS NULL AS without, p.checks_failed, p.rules_fired, p.rule_errors, mlops.check_names('churn', p.deployment, p.checks_failed) AS checks,
       mlops.rule_names('churn', p.deployment, p.rules_fired) AS fired, mlops.rule_names('churn', p.deployment, p.rule_errors) AS errors
  FROM mlops.prediction AS p WHERE model = 'churn' ORDER BY p.key COLLATE "C";

SET client_min_messages = error;
SELECT mlops_drop_model(m, force => true) FROM unnest(ARRAY['churn', 'sum', 'vector']) AS m;
DROP SCHEMA ml_checks CASCADE;
