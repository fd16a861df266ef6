-- Permutation importance: how much worse a model predicts when the values of a
-- feature are dealt to other rows.

CREATE SCHEMA permutation_test;
SET search_path = permutation_test;
SET client_min_messages = error;
CREATE TABLE point AS
SELECT i AS id, i % 17 AS a, i * 7 % 23 AS b, (ARRAY['x', 'y', 'z'])[1 + i % 3] AS c, ARRAY[i % 5, i % 7]::float8[] AS v,
       timestamptz '2024-01-01 00:00+00' + i * 37 % 101 * interval '3 hours' AS at
  FROM generate_series(1, 1000) AS i;
ALTER TABLE point ADD y float8, ADD half text;
UPDATE point SET y = 3 * a + CASE c WHEN 'x' THEN 10 ELSE 0 END, half = CASE WHEN 3 * a + b > 35 THEN 'upper' ELSE 'lower' END;
SELECT mlops_train_now('y', 'SELECT a, b, c, v, at, y FROM point', 'y', holdout => 0);
SELECT mlops_train_now('half', 'SELECT a, b, c, v, at, half FROM point', 'half', algorithm => 'gradient_boosting');
RESET client_min_messages;

-- What the target does not depend on is worth nothing.
SELECT feature, importance > 0.001 AS matters, deviation < 1 AS steady FROM mlops_permutation_importance('y/1', 'point') ORDER BY feature COLLATE "C";

-- A linear model without noise: shuffled values of a miss by 3 times the difference
-- of two draws, so that the squared error is 2 * 9 * the variance of a.
SELECT feature, round((importance / sqrt(2 * 9 * var_pop))::numeric, 1) AS ratio
  FROM mlops_permutation_importance('y/1', 'point', repeats => 20) CROSS JOIN (SELECT var_pop(a) FROM point) AS s WHERE feature = 'a';

-- The same rows give the same numbers, however they are stored; another seed
-- gives others; one repeat has no deviation.
SELECT (SELECT array_agg(p ORDER BY p.feature) FROM mlops_permutation_importance('half/1', 'point') AS p) =
       (SELECT array_agg(p ORDER BY p.feature) FROM mlops_permutation_importance('half/1', 'SELECT at, v, half, c, b, a FROM point ORDER BY md5(id::text)') AS p) AS same,
       (SELECT importance FROM mlops_permutation_importance('y/1', 'point', seed => 1) WHERE feature = 'a') <>
       (SELECT importance FROM mlops_permutation_importance('y/1', 'point', seed => 2) WHERE feature = 'a') AS other_seed;
SELECT count(*), count(deviation) FROM mlops_permutation_importance('y/1', 'point', repeats => 1);

-- Any metric of the task, the target under another name, the largest first.
SELECT feature, importance BETWEEN 0.1 AND 0.6 AS much FROM mlops_permutation_importance('half/1', 'SELECT a, b, c, v, at, half AS truth FROM point', target => 'truth', metric => 'accuracy') LIMIT 2;

-- refused
SELECT * FROM mlops_permutation_importance('half/1', 'point', metric => 'rmse');
SELECT * FROM mlops_permutation_importance('half/1', 'point', metric => 'acuracy');
SELECT * FROM mlops_permutation_importance('half/1', 'SELECT a, half FROM point');
SELECT * FROM mlops_permutation_importance('half/1', 'SELECT * FROM point WHERE false');
SELECT * FROM mlops_permutation_importance('half/1', 'DELETE FROM point');
SELECT * FROM mlops_permutation_importance('y/1', 'SELECT a, b, c, v, at, half FROM point', target => 'half');
SELECT * FROM mlops_permutation_importance('y/1', 'point', repeats => 0);
SELECT * FROM mlops_permutation_importance('y/1', NULL);
SET client_min_messages = error;
SELECT mlops_train_now('groups', 'SELECT a, b FROM point', algorithm => 'kmeans', params => '{"k": 2}');
RESET client_min_messages;
SELECT * FROM mlops_permutation_importance('groups/1', 'point');

SELECT mlops_drop_model('y'), mlops_drop_model('half'), mlops_drop_model('groups');
SET client_min_messages = warning;
DROP SCHEMA permutation_test CASCADE;
