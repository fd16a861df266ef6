-- The recipe is what was learned about the columns, and the only way from a
-- row to features. The model below is a plain mean per plan (a regression on
-- one category), so that a prediction shows where a value was put: levels have
-- a place each, rare values share one, NULL has its own; what training never
-- saw gets what an average row gets. A NULL number counts as the mean, or the
-- median, or as said otherwise.

CREATE SCHEMA recipe_test;
SET search_path = recipe_test;
SET client_min_messages = error;
SET TimeZone = 'UTC';

-- 10 x basic: 1, 20 x pro: 2, 5 x NULL: 5, and two rare plans: 7
CREATE TABLE plans AS
SELECT 'basic' AS plan, 1.0 AS y FROM generate_series(1, 10)
UNION ALL SELECT 'pro', 2 FROM generate_series(1, 20)
UNION ALL SELECT NULL, 5 FROM generate_series(1, 5)
UNION ALL SELECT 'rare ' || i % 2, 7 FROM generate_series(1, 4) AS i;

SELECT mlops_train_now('recipe_plans', 'plans', 'y', holdout => 0) AS version;
-- treatment coding: the base is the first level in C order
SELECT term FROM mlops_coefficients('recipe_plans/1');
-- the last one, never seen, is pooled with the rare ones
SELECT plan, round(mlops_predict('recipe_plans/1', p)::numeric, 6) AS y
  FROM (VALUES ('basic', 1), ('pro', 2), (NULL, 3), ('rare 1', 4), ('brand new', 5)) AS p (plan, id);

-- without rare values in training there is no pool: an unseen value gets the
-- mix of the training rows, (10 x 1 + 20 x 2) / 30; so does NULL
SELECT mlops_train_now('recipe_plans', 'SELECT * FROM plans WHERE y < 3', 'y', holdout => 0) AS version;
SELECT term FROM mlops_coefficients('recipe_plans/2');
SELECT plan, round(mlops_predict('recipe_plans/2', p)::numeric, 6) AS y, round(50 / 30.0, 6) AS mix
  FROM (VALUES ('brand new', 1), (NULL, 2)) AS p (plan, id);

-- fewer places: the most frequent value keeps its own
SELECT mlops_train_now('recipe_plans', 'SELECT * FROM plans WHERE plan IS NOT NULL', 'y', holdout => 0,
                       params => '{"max_categories": 1}') AS version;
SELECT term FROM mlops_coefficients('recipe_plans/3');
-- every value a place
SELECT mlops_train_now('recipe_plans', 'plans', 'y', holdout => 0, params => '{"min_category_rows": 1}') AS version;
SELECT term FROM mlops_coefficients('recipe_plans/4');
-- a penalised model has a column for every level: none is the base
SELECT mlops_train_now('recipe_plans', 'plans', 'y', holdout => 0, params => '{"l2": 1}') AS version;
SELECT term FROM mlops_coefficients('recipe_plans/5');
-- C order: capitals before small letters, whatever the locale
SELECT mlops_train_now('recipe_plans', $$SELECT (ARRAY['a', 'B', 'ab', 'Z', '_'])[i % 5 + 1] AS x, i AS y
                                    FROM generate_series(1, 50) AS i$$, 'y', holdout => 0, params => '{"l2": 1}') AS version;
SELECT term FROM mlops_coefficients('recipe_plans/6');

-- NULL numbers: y = x where x is known; 1, 2, 3, 4, 10 have mean 4 and median 3
CREATE TABLE numbers AS
SELECT x::float8, coalesce(x, 4)::float8 AS y FROM (VALUES (1), (2), (3), (4), (10), (NULL)) AS v (x);
SELECT mlops_train_now('recipe_numbers', 'numbers', 'y', holdout => 0) AS version;
SELECT mlops_train_now('recipe_numbers', 'numbers', 'y', holdout => 0, params => '{"impute": "median"}') AS version;
SELECT mlops_train_now('recipe_numbers', 'numbers', 'y', holdout => 0, params => '{"impute": "drop"}') AS version;
SELECT mlops_train_now('recipe_numbers', 'SELECT x, coalesce(x, 100) AS y FROM numbers', 'y', holdout => 0,
                       params => '{"missing_indicator": true}') AS version;
SELECT version, term FROM generate_series(1, 4) AS version, mlops_coefficients('recipe_numbers/' || version)
 WHERE term <> '(intercept)';
SELECT round(mlops_predict('recipe_numbers/1', n)::numeric, 6) AS mean,
       mlops_predict('recipe_numbers/2', n) = mlops_predict('recipe_numbers/2', '{"x": 3}'::jsonb) AS as_the_median,
       mlops_predict('recipe_numbers/3', n) AS dropped,
       round(mlops_predict('recipe_numbers/4', n)::numeric, 6) AS indicated
  FROM numbers AS n WHERE x IS NULL;
SELECT rows_skipped FROM mlops.version WHERE model = 'recipe_numbers' ORDER BY version;

-- weights count like rows: the weighted median is that of the rows repeated
CREATE TABLE weighted AS SELECT x, y, w FROM (VALUES (1.0, 2, 1), (2, 4, 1), (5, 1, 3), (NULL, 3, 1), (7, 9, 0)) AS v (x, y, w);
SELECT mlops_train_now('recipe_weighted', 'weighted', 'y', weight => 'w', holdout => 0, params => '{"impute": "median"}') AS version;
SELECT mlops_train_now('recipe_weighted', 'SELECT x, y FROM weighted, generate_series(1, w)', 'y', holdout => 0,
                       params => '{"impute": "median"}') AS version;
SELECT abs(mlops_predict('recipe_weighted/1', r) - mlops_predict('recipe_weighted/2', r)) < 1e-12 AS same_prediction
  FROM weighted AS r WHERE x IS NULL;
SELECT rows_skipped FROM mlops.version WHERE model = 'recipe_weighted' ORDER BY version;

-- constant columns stay inputs, but tell nothing and have no coefficient
SELECT mlops_train_now('recipe_constant', 'SELECT x, y, 5 AS five, NULL::text AS never FROM numbers', 'y', holdout => 0) AS version;
SELECT term FROM mlops_coefficients('recipe_constant/1');
SELECT warnings FROM mlops.version WHERE model = 'recipe_constant';

-- the hour is that of the wall clock in the time zone of training: y is 1 in
-- the afternoon in New York, 0 else. A session elsewhere scores the same
CREATE TABLE visits AS
SELECT at, (extract(hour FROM at AT TIME ZONE 'America/New_York') >= 12)::int::float8 AS y
  FROM generate_series('2025-01-01 00:00+00'::timestamptz, '2025-01-12 23:00+00', '1 hour') AS at;
SET TimeZone = 'America/New_York';
SELECT mlops_train_now('recipe_visits', 'visits', 'y', holdout => 0) AS version;
SELECT term FROM mlops_coefficients('recipe_visits/1');
CREATE TABLE scored AS SELECT at, mlops_predict('recipe_visits/1', v) AS p FROM visits AS v;
SET TimeZone = 'Asia/Tokyo';
SELECT bool_and(p = mlops_predict('recipe_visits/1', v)) AS same_in_tokyo FROM visits AS v JOIN scored USING (at);
SET TimeZone = 'UTC';
-- 3 pm is sine 15/24: a negative sine is the afternoon
SELECT estimate < 0 AS afternoon_is_higher FROM mlops_coefficients('recipe_visits/1') WHERE term = 'at (hour sin)';

-- refused: what cannot be learned from
CREATE TABLE bad AS
SELECT i AS id, 'remark ' || i AS remark, i % 7 AS x, i % 3 AS y, 1 AS one,
       CASE WHEN i = 40 THEN 'NaN' WHEN i = 50 THEN 'Infinity' ELSE i::float8 END AS broken,
       (ARRAY['lost', 'open', 'won'])[i % 3 + 1] AS outcome, i - 5 AS w
  FROM generate_series(1, 100) AS i;
SELECT mlops_train_now('recipe_bad', 'SELECT remark, y FROM bad', 'y', holdout => 0);
SELECT mlops_train_now('recipe_bad', 'SELECT broken, y FROM bad', 'y', holdout => 0);
SELECT mlops_train_now('recipe_bad', 'SELECT x, broken FROM bad', 'broken', holdout => 0);
SELECT mlops_train_now('recipe_bad', 'SELECT one, NULL::text AS never, y FROM bad', 'y', holdout => 0);
SELECT mlops_train_now('recipe_bad', 'SELECT y FROM bad', 'y', holdout => 0);
SELECT mlops_train_now('recipe_bad', 'SELECT x, one AS y FROM bad', 'y', holdout => 0);
SELECT mlops_train_now('recipe_bad', 'SELECT x, NULL::int AS y FROM bad', 'y', holdout => 0);
SELECT mlops_train_now('recipe_bad', 'SELECT x, outcome FROM bad', 'outcome', algorithm => 'linear_regression', holdout => 0);
SELECT mlops_train_now('recipe_bad', 'SELECT x, id * 1.5 AS y FROM bad', 'y', algorithm => 'logistic_regression', holdout => 0);
SELECT mlops_train_now('recipe_bad', 'SELECT x, i AS id FROM bad, generate_series(1, 101) AS i', 'id', algorithm => 'logistic_regression', holdout => 0);
SELECT mlops_train_now('recipe_bad', $$SELECT x, 'remark ' || i AS remark FROM bad, generate_series(1, 101) AS i$$, 'remark', holdout => 0);
SELECT mlops_train_now('recipe_bad', $$SELECT x, date '2025-01-01' + id AS y FROM bad$$, 'y', holdout => 0);
SELECT mlops_train_now('recipe_bad', 'SELECT x, y, w FROM bad', 'y', weight => 'w', holdout => 0);
SELECT mlops_train_now('recipe_bad', 'SELECT x, y, nullif(id, 3) AS w FROM bad', 'y', weight => 'w', holdout => 0);
SELECT mlops_train_now('recipe_bad', 'SELECT x, y, 0 AS w FROM bad', 'y', weight => 'w', holdout => 0);
SELECT mlops_train_now('recipe_bad', 'SELECT NULL::int AS x, y FROM bad', 'y', params => '{"impute": "drop"}', holdout => 0);
SELECT mlops_train_now('recipe_bad', 'SELECT x, y FROM bad WHERE false', 'y', holdout => 0);
SELECT mlops_train_now('recipe_bad', 'SELECT x, y, NULL::float8[] AS e FROM bad', 'y', holdout => 0);

-- the positive class is the last in order, or the one that the model names
SELECT mlops_create_model('recipe_won', positive => 'lose');
SELECT mlops_train_now('recipe_won', $$SELECT x, outcome FROM bad WHERE outcome <> 'open'$$, 'outcome');
SELECT mlops_train_now('recipe_won2', $$SELECT x, outcome FROM bad WHERE outcome <> 'open'$$, 'outcome') AS version;
SELECT mlops_create_model('recipe_lost', positive => 'lost');
SELECT mlops_train_now('recipe_lost', $$SELECT x, outcome FROM bad WHERE outcome <> 'open'$$, 'outcome') AS version;
SELECT abs(mlops_predict('recipe_won2/1', b) + mlops_predict('recipe_lost/1', b) - 1) < 1e-9 AS opposite FROM bad AS b LIMIT 1;

SELECT count(mlops_drop_model(model)) AS dropped FROM mlops.model WHERE model LIKE 'recipe\_%';
DROP SCHEMA recipe_test CASCADE;
