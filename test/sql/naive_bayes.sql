-- Naive Bayes takes every feature by itself: numbers normal within a class,
-- categories with smoothed shares, what is missing left out. Probabilities are
-- held against a published example and against the formulas written in SQL.
-- (On iris and on the Wisconsin breast cancer data they agree with scikit-learn
-- 1.2.1's GaussianNB to 1e-14; compared by hand.)

CREATE SCHEMA naive_bayes_test;
SET search_path = naive_bayes_test;
SET client_min_messages = warning;

-- Mitchell, Machine Learning (1997), section 6.9.1: shall we play tennis when it is
-- sunny, cool, humid and windy? Without smoothing the probability of no is
-- 0.0206 / (0.0206 + 0.0053) = 0.795
CREATE TABLE tennis AS
SELECT * FROM (VALUES
    ('sunny', 'hot', 'high', 'weak', 'no'), ('sunny', 'hot', 'high', 'strong', 'no'), ('overcast', 'hot', 'high', 'weak', 'yes'),
    ('rain', 'mild', 'high', 'weak', 'yes'), ('rain', 'cool', 'normal', 'weak', 'yes'), ('rain', 'cool', 'normal', 'strong', 'no'),
    ('overcast', 'cool', 'normal', 'strong', 'yes'), ('sunny', 'mild', 'high', 'weak', 'no'), ('sunny', 'cool', 'normal', 'weak', 'yes'),
    ('rain', 'mild', 'normal', 'weak', 'yes'), ('sunny', 'mild', 'normal', 'strong', 'yes'), ('overcast', 'mild', 'high', 'strong', 'yes'),
    ('overcast', 'hot', 'normal', 'weak', 'yes'), ('rain', 'mild', 'high', 'strong', 'no')) AS t (outlook, temperature, humidity, wind, play);
CALL mlops_train('tennis', 'tennis', 'play', algorithm => 'naive_bayes', params => '{"smoothing": 1e-10, "min_category_rows": 1}', holdout => 0);
SELECT round((mlops_predict_proba('tennis/1', '{"outlook": "sunny", "temperature": "cool", "humidity": "high", "wind": "strong"}') ->> 'no')::numeric, 3) AS no;

-- smoothing counts as many more rows of each code: 5 of 14 do not play, 3 of them when it is sunny
CALL mlops_train('tennis', 'tennis', 'play', algorithm => 'naive_bayes', params => '{"smoothing": 2, "min_category_rows": 1}', holdout => 0);
SELECT term, output, round(estimate::numeric, 6) AS share, round((CASE output WHEN 'no' THEN 3 ELSE 2 END + 2.0) / (CASE output WHEN 'no' THEN 5 ELSE 9 END + 2 * 3), 6) AS defined
  FROM mlops_coefficients('tennis/2') WHERE term = 'outlook=sunny' ORDER BY output COLLATE "C";

-- an unseen value tells nothing
SELECT abs(mlops_predict('tennis/2', '{"outlook": "hail", "temperature": null, "humidity": "?", "wind": "none"}') - 9 / 14.0) < 1e-12 AS prior;

-- numbers and categories with NULLs and weights, three classes
CREATE TABLE mixed AS
SELECT i AS id, CASE WHEN i % 11 > 0 THEN i % 3 * 2 + sin(i) END AS a, (i * 7919 % 101) / 10.0::float8 + i % 3 AS b,
       CASE WHEN i % 13 > 0 THEN 'c' || (i * i + i % 3) % 4 END AS g, 5 AS same, 1 + i % 2 AS w, 'class ' || i % 3 AS y
  FROM generate_series(1, 300) AS i;
CALL mlops_train('mixed', 'mixed', 'y', algorithm => 'naive_bayes', exclude => '{id}', weight => 'w', holdout => 0);
ANALYZE mixed;
WITH class AS MATERIALIZED (
    SELECT y, sum(w) AS n, sum(w * a) / sum(w) FILTER (WHERE a IS NOT NULL) AS mean_a, sum(w * b) / sum(w) AS mean_b FROM mixed GROUP BY y
), spread AS MATERIALIZED (
    SELECT y, n, mean_a, mean_b, sum(w * (a - mean_a) ^ 2) / sum(w) FILTER (WHERE a IS NOT NULL) AS var_a, sum(w * (b - mean_b) ^ 2) / sum(w) AS var_b
      FROM mixed JOIN class USING (y) GROUP BY 1, 2, 3, 4
), whole AS MATERIALIZED (
    SELECT 1e-9 * greatest((SELECT sum(w * (a - m) ^ 2) / sum(w) FROM mixed, (SELECT sum(w * a) / sum(w) AS m FROM mixed WHERE a IS NOT NULL) AS s WHERE a IS NOT NULL),
                           (SELECT sum(w * (b - m) ^ 2) / sum(w) FROM mixed, (SELECT sum(w * b) / sum(w) AS m FROM mixed) AS s)) AS added
), shares AS MATERIALIZED (
    SELECT class.y, codes.g, (coalesce(sum(m.w), 0) + 1) / (class.n + 5.0) AS share
      FROM class CROSS JOIN (SELECT DISTINCT g FROM mixed) AS codes
      LEFT JOIN mixed AS m ON m.y = class.y AND m.g IS NOT DISTINCT FROM codes.g GROUP BY class.y, codes.g, class.n
), likelihood AS (
    SELECT m.id, s.y, n * share * exp(-((b - mean_b) ^ 2) / (2 * (var_b + added))) / sqrt(var_b + added)
                      * coalesce(exp(-((a - mean_a) ^ 2) / (2 * (var_a + added))) / sqrt(var_a + added), 1) AS l
      FROM mixed AS m CROSS JOIN spread AS s CROSS JOIN whole JOIN shares ON shares.y = s.y AND shares.g IS NOT DISTINCT FROM m.g
), posterior AS MATERIALIZED (
    SELECT id, y, l / sum(l) OVER (PARTITION BY id) AS p FROM likelihood
)
SELECT count(*) AS probabilities, max(abs(p - (mlops_predict_proba('mixed/1', m) ->> posterior.y)::float8)) < 1e-9 AS as_defined
  FROM posterior JOIN mixed AS m USING (id);

-- a column that never varies tells nothing; a table of means, deviations and shares
SELECT term, feature, round(estimate::numeric, 4) AS estimate, std_error FROM mlops_coefficients('mixed/1') WHERE output = 'class 0' ORDER BY term COLLATE "C";
SELECT feature, importance > 0 AS tells FROM mlops_importance('mixed/1') ORDER BY feature COLLATE "C";

-- two classes: the probability of the positive one
CALL mlops_train('two', 'SELECT a, b, g, w, y = ''class 1'' AS y FROM mixed', 'y', algorithm => 'naive_bayes', weight => 'w', holdout => 0);
SELECT round(avg((mlops_predict('two/1', m) >= 0.5)::int)::numeric, 3) BETWEEN 0.2 AND 0.5 AS share,
       max(abs(mlops_predict('two/1', m) - (mlops_predict_proba('two/1', m) ->> 'true')::float8)) = 0 AS same FROM mixed AS m;

-- what the features add to the log-odds, or to a class about the mean of the
-- classes, adds up: the logistic function and the softmax give the probabilities
SELECT max(abs(1 / (1 + exp(-eta)) - mlops_predict('two/1', m))) < 1e-12 AS adds_up
  FROM mixed AS m, LATERAL (SELECT sum(contribution) AS eta FROM mlops_explain('two/1', m)) AS e;
SELECT max(abs(exp(eta) / sum - (mlops_predict_proba('mixed/1', m) ->> class)::float8)) < 1e-12 AS adds_up
  FROM (SELECT m, class, eta, sum(exp(eta)) OVER (PARTITION BY id) AS sum
          FROM mixed AS m, unnest(ARRAY['class 0', 'class 1', 'class 2']) AS class,
               LATERAL (SELECT sum(contribution) AS eta FROM mlops_explain('mixed/1', m, class)) AS e) AS s;

-- "uniform" leaves the shares of the classes out; nothing known is even odds then
CALL mlops_train('two', 'SELECT a, b, g, w, y = ''class 1'' AS y FROM mixed', 'y', algorithm => 'naive_bayes', params => '{"prior": "uniform"}', weight => 'w', holdout => 0);
SELECT mlops_predict('two/2', '{"a": null, "b": null, "g": "never seen"}') AS even;

-- however far out a value is, the answer is a probability
SELECT x, p BETWEEN 0 AND 1 AS probability
  FROM unnest(ARRAY[1e3, 1e9, 1e100, 1e300, -1e300]::float8[]) AS x, mlops_predict('two/1', jsonb_build_object('a', 1, 'b', x, 'g', 'c1')) AS p;

-- repeated, in another order: the same bytes
CALL mlops_train('mixed', 'SELECT * FROM mixed ORDER BY b DESC', 'y', algorithm => 'naive_bayes', exclude => '{id}', weight => 'w', holdout => 0);
SELECT count(DISTINCT sha256) AS artifacts FROM mlops.version WHERE model = 'mixed';

-- a number that never varies within a class needs the added variance
CALL mlops_train('narrow', 'SELECT i % 2 AS x, i % 2 = 0 AS y FROM generate_series(1, 100) AS i', 'y', algorithm => 'naive_bayes', params => '{"variance_smoothing": 0}', holdout => 0);
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('narrow', 'SELECT i % 2 AS x, i % 2 = 0 AS y FROM generate_series(1, 100) AS i', 'y', algorithm => 'naive_bayes', holdout => 0);
SELECT round(mlops_predict('narrow/1', '{"x": 0}')::numeric, 6) AS zero, round(mlops_predict('narrow/1', '{"x": 1}')::numeric, 6) AS one;

-- numbers that are no classes
CALL mlops_train('wrong', 'SELECT i AS x, i * 0.5 AS y FROM generate_series(1, 300) AS i', 'y', algorithm => 'naive_bayes', holdout => 0);
\echo :LAST_ERROR_SQLSTATE

SELECT count(mlops_drop_model(model, force => true)::text) AS dropped FROM mlops.model WHERE model IN ('tennis', 'mixed', 'two', 'narrow');
DROP SCHEMA naive_bayes_test CASCADE;
