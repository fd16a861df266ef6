-- A decision tree is grown greedily and pruned by cost and complexity. A leaf
-- predicts the mean of its rows, or the shares of their classes, so what a
-- small tree must say can be counted by hand.

CREATE SCHEMA decision_tree_test;
SET search_path = decision_tree_test;
SET client_min_messages = warning;

-- one question: below the gap between 4 and 6 the mean is 10, above it is 20
CREATE TABLE steps AS
SELECT x::float8, CASE WHEN x < 5 THEN 10 ELSE 20 END + (x % 2) * 2 - 1 AS y FROM generate_series(1, 10) AS x WHERE x <> 5;
INSERT INTO steps VALUES (0, 9);
CALL mlops_train('step', 'steps', 'y', algorithm => 'decision_tree', params => '{"max_depth": 1, "min_leaf_rows": 1}', holdout => 0);
SELECT x, round(mlops_predict('step/1', jsonb_build_object('x', x))::numeric, 6) AS predicted,
       (SELECT round(avg(y), 6) FROM steps WHERE (steps.x < 5) = (v.x < 5)) AS mean
  FROM (VALUES (-100::float8), (4.9), (5.1), (100)) AS v (x) ORDER BY x;

-- the facts of the fit: trees, depth, leaves
SELECT name, value FROM mlops.version AS v, jsonb_each(v.facts) AS f (name, value)
 WHERE v.model = 'step' AND name IN ('trees', 'depth', 'leaves') ORDER BY name COLLATE "C";

-- weights count: a row of weight 3 is the row three times
CALL mlops_train('weighted', 'SELECT x, y, 1 + x::int % 3 AS w FROM steps', 'y', algorithm => 'decision_tree', weight => 'w', params => '{"min_leaf_rows": 1}', holdout => 0);
CALL mlops_train('repeated', 'SELECT x, y FROM steps, generate_series(0, x::int % 3)', 'y', algorithm => 'decision_tree', params => '{"min_leaf_rows": 1}', holdout => 0);
SELECT max(abs(mlops_predict('weighted/1', jsonb_build_object('x', x)) - mlops_predict('repeated/1', jsonb_build_object('x', x)))) < 1e-9 AS same
  FROM generate_series(-1, 12, 0.25) AS x;

-- classes: the Titanic table of R (survivors of 2201 by sex, age group and class); leaves are shares
CREATE TABLE titanic AS
SELECT sex, age, class, survived FROM (VALUES
  ('male', 'child', 'first', 0, 5), ('male', 'child', 'second', 0, 11), ('male', 'child', 'third', 35, 13),
  ('female', 'child', 'first', 0, 1), ('female', 'child', 'second', 0, 13), ('female', 'child', 'third', 17, 14),
  ('male', 'adult', 'first', 118, 57), ('male', 'adult', 'second', 154, 14), ('male', 'adult', 'third', 387, 75), ('male', 'adult', 'crew', 670, 192),
  ('female', 'adult', 'first', 4, 140), ('female', 'adult', 'second', 13, 80), ('female', 'adult', 'third', 89, 76), ('female', 'adult', 'crew', 3, 20)
) AS t (sex, age, class, died, lived), LATERAL (SELECT false FROM generate_series(1, died) UNION ALL SELECT true FROM generate_series(1, lived)) AS s (survived);
CALL mlops_train('titanic', 'titanic', 'survived', algorithm => 'decision_tree', params => '{"max_depth": 2, "complexity": 0}', holdout => 0);
WITH cell AS (
    SELECT sex, CASE WHEN sex = 'male' THEN age ELSE CASE WHEN class = 'third' THEN 'third' ELSE 'other' END END AS part,
           avg(survived::int) AS share, avg(mlops_predict('titanic/1', t)) AS predicted, count(DISTINCT mlops_predict('titanic/1', t)) AS n
      FROM titanic AS t GROUP BY 1, 2)
SELECT sex, part, round(share, 4) AS share, round(predicted::numeric, 4) AS predicted, n FROM cell ORDER BY sex COLLATE "C", part COLLATE "C";

-- several classes: the shares of a leaf sum to one
CALL mlops_train('class', 'SELECT sex, age, survived, class FROM titanic', 'class', algorithm => 'decision_tree', params => '{"max_depth": 1}', holdout => 0);
WITH said AS (SELECT DISTINCT sex, mlops_predict_proba('class/1', t) AS p FROM (SELECT sex, age, survived, class FROM titanic) AS t)
SELECT s.sex, key AS class, round(value::numeric, 4) AS predicted,
       (SELECT round(avg((class = key)::int), 4) FROM titanic AS t WHERE t.sex = s.sex) AS share
  FROM said AS s, jsonb_each(p) ORDER BY s.sex COLLATE "C", key COLLATE "C";

-- complexity 1 asks more of a split than can be had: the root is left alone
CALL mlops_train('titanic', 'titanic', 'survived', algorithm => 'decision_tree', params => '{"complexity": 1}', holdout => 0);
SELECT abs(mlops_predict('titanic/2', t) - 711 / 2201.0) < 1e-9 AS share FROM titanic AS t LIMIT 1;

-- a missing number goes where it does most good
CREATE TABLE gaps AS SELECT CASE WHEN i % 4 > 0 THEN i END::float8 AS x, CASE WHEN i % 4 = 0 OR i > 60 THEN 7 ELSE 3 END AS y, i % 7 AS other FROM generate_series(1, 100) AS i;
CALL mlops_train('gap', 'gaps', 'y', algorithm => 'decision_tree', params => '{"max_depth": 1}', holdout => 0);
SELECT x, round(mlops_predict('gap/1', jsonb_build_object('x', x, 'other', 1))::numeric, 6) AS predicted FROM (VALUES (1::float8), (100), (NULL)) AS v (x) ORDER BY x;

-- and where it tells by itself, nothing else is asked
CREATE TABLE told AS SELECT CASE WHEN i % 2 = 0 THEN 1.5 END AS x, i % 2 AS y, i % 3 AS other FROM generate_series(1, 60) AS i;
CALL mlops_train('told', 'told', 'y', algorithm => 'decision_tree', params => '{"max_depth": 1}', holdout => 0);
SELECT DISTINCT x, round(mlops_predict('told/1', t)::numeric, 6) AS predicted FROM told AS t ORDER BY x;

-- directions
CREATE TABLE noisy AS SELECT i::float8 AS x, i + 60 * sin(i / 5.0) AS y FROM generate_series(1, 200) AS i;
CALL mlops_train('rising', 'noisy', 'y', algorithm => 'decision_tree', params => '{"monotone": {"x": 1}, "max_depth": 8, "complexity": 0}', holdout => 0);
CALL mlops_train('free', 'noisy', 'y', algorithm => 'decision_tree', params => '{"max_depth": 8, "complexity": 0}', holdout => 0);
SELECT m, count(*) FILTER (WHERE p < before) > 0 AS falls FROM (
    SELECT m, x, mlops_predict(m, jsonb_build_object('x', x)) AS p, lag(mlops_predict(m, jsonb_build_object('x', x))) OVER (PARTITION BY m ORDER BY x) AS before
      FROM unnest(ARRAY['rising/1', 'free/1']) AS m, generate_series(0, 201) AS x) AS s GROUP BY m ORDER BY m COLLATE "C";

-- the edges: one row, a constant feature, numbers as large as they come
CREATE TABLE edge (x float8, y float8);
INSERT INTO edge VALUES (1, 1e300), (2, -1e300), (3, 1e300), (4, -1e300), (1e308, 5), (-1e308, 7);
CALL mlops_train('edge', 'edge', 'y', algorithm => 'decision_tree', params => '{"min_leaf_rows": 1, "complexity": 0}', holdout => 0);
SELECT x, mlops_predict('edge/1', edge) = y AS exact FROM edge ORDER BY x;
CALL mlops_train('edge', 'SELECT 1 AS x, 2 AS y', 'y', algorithm => 'decision_tree', holdout => 0);

-- refused
CALL mlops_train('none', 'titanic', 'survived', algorithm => 'decision_tree', params => '{"monotone": {"sex": 1}}');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('none', 'SELECT x AS tenure, y FROM noisy', 'y', algorithm => 'decision_tree', params => '{"monotone": {"tenuer": 1}}');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('none', 'noisy', 'y', algorithm => 'decision_tree', params => '{"monotone": {"x": 0.5}}');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('none', 'SELECT sex, age, class FROM titanic', 'class', algorithm => 'decision_tree', params => '{"monotone": {"sex": 1}}');
\echo :LAST_ERROR_SQLSTATE

SELECT count(mlops_drop_model(m, force => true)::text) AS dropped
  FROM unnest(ARRAY['step', 'weighted', 'repeated', 'titanic', 'class', 'gap', 'told', 'rising', 'free', 'edge']) AS m;
DROP SCHEMA decision_tree_test CASCADE;
