-- mlops_predict(model, row) scores a row: its columns are matched to those that
-- the model was trained on by name, whatever their order; columns that it does
-- not know are ignored, columns that it needs must be there and of the same
-- kind. A NULL column is scored as training learned to; a NULL row scores NULL.
-- 'm' is the version that serves, 'm/2' a version, 'm@alias' an alias.
CREATE SCHEMA predict;
SET search_path = predict;
SET client_min_messages = warning;
\set SHOW_CONTEXT never

-- y = 3 + 2 a - b, so that predictions are known; churned where a > b
CREATE TABLE t (id int PRIMARY KEY, a float8, b int, plan text, since date, churned text, y numeric);
INSERT INTO t
SELECT i, i % 11, i % 7, (ARRAY['basic', 'pro'])[1 + i % 2], date '2024-01-01' + i,
       CASE WHEN i % 11 + i % 3 > i % 7 THEN 'yes' ELSE 'no' END, 3 + 2 * (i % 11) - i % 7
  FROM generate_series(1, 200) AS i;
SELECT mlops_train_now('line', 'SELECT a, b, y FROM predict.t', 'y');
SELECT mlops_train_now('churn', 'SELECT a, b, plan, since, churned FROM predict.t', 'churned',
                       params => '{"l2": 1}');

-- a version scores as soon as it is there; without a number something must serve
SELECT abs(mlops_predict('line/1', t) - y) < 1e-9 AS recovered FROM t WHERE id = 17;
SELECT mlops_predict('line', t) FROM t WHERE id = 17;
\echo :LAST_ERROR_SQLSTATE
SELECT version FROM mlops_promote('line', 1);
SELECT version FROM mlops_promote('churn', 1);
SELECT count(*) AS rows, bool_and(abs(mlops_predict('line', t) - y) < 1e-9) AS recovered FROM t;

-- classes: the probability of the positive one, the label, the probability of each
SELECT bool_and(mlops_predict('churn', t) BETWEEN 0 AND 1) AS probability,
       bool_and((mlops_predict('churn', t) >= 0.5) = (mlops_predict_label('churn', t) = 'yes')) AS label_at_threshold,
       bool_and((mlops_predict_proba('churn', t) ->> 'yes')::float8 = mlops_predict('churn', t)) AS positive,
       bool_and(abs((mlops_predict_proba('churn', t) ->> 'yes')::float8
                    + (mlops_predict_proba('churn', t) ->> 'no')::float8 - 1) < 1e-12) AS sum_is_1
  FROM t;

-- by name: any order, more columns, any type of number
SELECT mlops_predict('line', s) = mlops_predict('line', t) AS same
  FROM t, LATERAL (SELECT t.b::numeric AS b, 'x' AS other, t.a::real AS a) AS s WHERE t.id = 5;

-- every function takes a key, for the day when it decides which version scores a row
SELECT mlops_predict('line', t, 'k') = mlops_predict('line', t) AND
       mlops_predict('line', t, 7) = mlops_predict('line', t) AND
       mlops_predict(model => 'line', input => t, key => '5b30857f-0bfa-48b5-ac0b-5c64e28078d1'::uuid)
       = mlops_predict('line', t) AS same
  FROM t WHERE id = 5;

-- NULL: a row, or all of its columns, scores NULL; single columns do not
SELECT mlops_predict('line', NULL::t) AS null_row,
       mlops_predict('line', s) AS null_columns,
       mlops_predict_label('churn', NULL::t) AS null_label,
       mlops_predict('line', u) IS NOT NULL AS one_column
  FROM (SELECT NULL::int AS a, NULL::int AS b) AS s, (SELECT NULL::int AS a, 1 AS b) AS u;
SELECT mlops_predict(NULL, t) FROM t WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE

-- several models in one query, the model itself from a column
SELECT bool_and(mlops_predict(m.name, t) = CASE WHEN m.name LIKE 'line%' THEN mlops_predict('line', t)
                                           ELSE mlops_predict('churn', t) END) AS same
  FROM t, (VALUES ('line'), ('churn'), ('line/1')) AS m (name);

-- what every version that has a role makes of a row
SELECT mlops_set_alias('line', 'fallback', 1);
SELECT role, version, abs(prediction - y) < 1e-9 AS recovered, label
  FROM t, mlops_predict_all('line', t) WHERE id = 3 ORDER BY role;
SELECT role, version, label FROM t, mlops_predict_all('churn/1', t) WHERE id = 3;

-- refused: no such thing
SELECT mlops_predict('lime', t) FROM t;
SELECT mlops_predict('line/9', t) FROM t;
SELECT mlops_predict('line@fallbak', t) FROM t;
SELECT mlops_predict('line/x', t) FROM t;

-- refused: columns that are missing, all of them named
SELECT mlops_predict('churn', s) FROM (SELECT 1 AS "A", 2 AS b, 'pro' AS plann) AS s;
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_predict('line', s) FROM (SELECT 1 AS a) AS s;

-- refused: columns of another kind, twice the same name, a row without names
SELECT mlops_predict('churn', s) FROM (SELECT 'one' AS a, 2 AS b, 'pro' AS plan, now() AS since) AS s;
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_predict('churn', s) FROM (SELECT 1 AS a, 2 AS b, 'pro' AS plan, time '10:00' AS since) AS s;
SELECT mlops_predict('line', s) FROM (SELECT 1 AS a, 2 AS b, 3 AS b) AS s;
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_predict('line', ROW(1, 2));
\echo :LAST_ERROR_SQLSTATE

-- refused: results that the task does not have
SELECT mlops_predict_label('line', t) FROM t;
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_predict_proba('line', t) FROM t;
SELECT mlops_train_now('three', 'SELECT a, plan || (id % 3) AS kind FROM predict.t', 'kind', 'baseline');
SELECT mlops_predict('three/1', t) FROM t;
\echo :LAST_ERROR_SQLSTATE
SELECT DISTINCT mlops_predict_label('three/1', t) IS NOT NULL AS label FROM t;

-- who may: the owner, and roles that were granted predict
CREATE ROLE regress_ml_score;
GRANT USAGE ON SCHEMA predict TO regress_ml_score;
GRANT SELECT ON t TO regress_ml_score;
SET ROLE regress_ml_score;
SELECT mlops_predict('line', t) FROM t;
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT mlops_grant('line', 'regress_ml_score', 'predict');
SET ROLE regress_ml_score;
SELECT count(mlops_predict('line', t)) FROM t;
RESET ROLE;

DROP SCHEMA predict CASCADE;
SELECT mlops_drop_model(m, force => true) FROM unnest(ARRAY['line', 'churn', 'three']) AS m;
DROP ROLE regress_ml_score;
