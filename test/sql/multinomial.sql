-- Several classes: without a penalty the first class is the reference, to which
-- the coefficients of the others compare; with one every class has
-- coefficients. At the maximum of the likelihood the predicted and the observed
-- shares of every class agree, overall and weighted by every feature.

CREATE SCHEMA multinomial_test;
SET search_path = multinomial_test;
SET client_min_messages = warning;

-- 10, 20, 30 visitors of the north and 25, 10, 15 of the south come by bus, car, train
CREATE TABLE trips AS
SELECT region, by, i FROM (VALUES ('north', 'bus', 10), ('north', 'car', 20), ('north', 'train', 30),
                                  ('south', 'bus', 25), ('south', 'car', 10), ('south', 'train', 15)) AS t (region, by, n),
       generate_series(1, n) AS i;

-- text of three values is for logistic_regression; the coefficients are then log-odds of the counts
CALL mlops_train('trip', 'SELECT region, by FROM trips', 'by', holdout => 0);
SELECT algorithm, task, facts ->> 'degrees_of_freedom' AS df FROM mlops.version WHERE model = 'trip';
SELECT output, term, abs(estimate - wanted) < 1e-12 AS estimate, abs(std_error / error - 1) < 1e-9 AS std_error
  FROM mlops_coefficients('trip/1') JOIN
       (VALUES ('car', '(intercept)', ln(20 / 10.0), sqrt(1 / 20.0 + 1 / 10.0)),
               ('train', '(intercept)', ln(30 / 10.0), sqrt(1 / 30.0 + 1 / 10.0)),
               ('car', 'region=south', ln(10 / 25.0) - ln(20 / 10.0), sqrt(1 / 10.0 + 1 / 25.0 + 1 / 20.0 + 1 / 10.0)),
               ('train', 'region=south', ln(15 / 25.0) - ln(30 / 10.0), sqrt(1 / 15.0 + 1 / 25.0 + 1 / 30.0 + 1 / 10.0)))
       AS w (output, term, wanted, error) USING (output, term) ORDER BY output, term COLLATE "C";
SELECT output, term, estimate, std_error FROM mlops_coefficients('trip/1') WHERE output = 'bus' ORDER BY term COLLATE "C";
SELECT region, mlops_predict_label('trip/1', t) AS label,
       abs((mlops_predict_proba('trip/1', t) ->> 'car')::float8 - CASE region WHEN 'north' THEN 20 / 60.0 ELSE 10 / 50.0 END) < 1e-12 AS share
  FROM (SELECT DISTINCT region FROM trips) AS t ORDER BY region;

-- enough rows for the first steps to run over samples; integers as classes
CREATE TABLE many AS
SELECT i AS id, x1, x2, x1 - 3 * x2 AS x3,
       CASE WHEN u < exp(x1) / s THEN 3 WHEN u < (exp(x1) + exp((x2 - 1000) / 30)) / s THEN 5 ELSE 10 END AS y
  FROM (SELECT *, exp(x1) + exp((x2 - 1000) / 30) + 1 AS s
          FROM (SELECT i, sin(i * 0.7) * 2 AS x1, 1000 + cos(i * 1.3) * 50 AS x2, (hashint8(i) & 1023) / 1024.0 AS u
                  FROM generate_series(1, 70000) AS i) AS a) AS b;
CALL mlops_train('many', 'SELECT x1, x2, y FROM many', 'y', algorithm => 'logistic_regression', holdout => 0);
WITH scored AS (SELECT (y = 5)::int - (mlops_predict_proba('many/1', many) ->> '5')::float8 AS residual, x1, x2 FROM many)
SELECT abs(sum(residual)) < 1e-6 AS intercept, abs(sum(residual * x1)) < 1e-6 AS x1, abs(sum(residual * x2)) < 1e-3 AS x2 FROM scored;
SELECT output FROM mlops_coefficients('many/1') GROUP BY output ORDER BY output COLLATE "C";

-- collinear columns are dropped in all classes
CALL mlops_train('many', 'SELECT x1, x2, x3, y FROM many WHERE id <= 5000', algorithm => 'logistic_regression', holdout => 0);
SELECT output, term, estimate IS NULL AS dropped FROM mlops_coefficients('many/2') WHERE term LIKE 'x%' ORDER BY output COLLATE "C", term COLLATE "C";

-- a ridge penalty: all classes have coefficients, of sum 0; no inference. At the solution gradient and penalty agree
CALL mlops_train('shrunk', 'SELECT x1, x2, y FROM many WHERE id <= 5000', 'y', algorithm => 'logistic_regression', params => '{"l2": 10}', holdout => 0);
SELECT term, count(*) AS classes, abs(sum(estimate)) < 1e-9 AS sum_is_0, count(std_error) AS inference
  FROM mlops_coefficients('shrunk/1') GROUP BY term ORDER BY term COLLATE "C";
SELECT abs(g - 10 * estimate * d ^ 2) < 1e-6 AS optimal
  FROM mlops_coefficients('shrunk/1') AS b,
       (SELECT sum(x1 * ((y = 10)::int - (mlops_predict_proba('shrunk/1', many) ->> '10')::float8)) AS g, stddev_pop(x1) AS d
          FROM many WHERE id <= 5000) AS s
 WHERE output = '10' AND term = 'x1';

-- more coefficients than Newton's method can solve for: L-BFGS finds the same optimum from gradients alone, without standard errors
CALL mlops_train('many', 'SELECT x1, x2, x3, y FROM many WHERE id <= 5000', algorithm => 'logistic_regression', params => '{"solver": "lbfgs", "tolerance": 1e-12}', holdout => 0);
SELECT count(*) AS compared, bool_and(abs(l.estimate - n.estimate) <= 1e-6 * abs(n.estimate)) AS same, bool_and((l.estimate IS NULL) = (n.estimate IS NULL)) AS dropped_alike,
       count(n.std_error) AS newton_inference, count(l.std_error) AS inference
  FROM mlops_coefficients('many/2') AS n JOIN mlops_coefficients('many/3') AS l USING (output, term);
SELECT warnings FROM mlops.version WHERE model = 'many' AND version = 3;
CALL mlops_train('shrunk', 'SELECT x1, x2, y FROM many WHERE id <= 5000', algorithm => 'logistic_regression', params => '{"l2": 10, "solver": "lbfgs", "tolerance": 1e-12}', holdout => 0);
SELECT bool_and(abs(l.estimate - n.estimate) < 1e-6 * abs(n.estimate)) AS same FROM mlops_coefficients('shrunk/1') AS n JOIN mlops_coefficients('shrunk/2') AS l USING (output, term);
-- beyond 2,000 of them it is the usual solver: at the optimum every level of every class has as much of the gradient as of the penalty
CREATE TABLE places AS
SELECT 'from ' || (hashint8(i) & 63) AS origin, 'to ' || ((hashint8(i) & 63) / 2 + (hashint8(i * 7) & 15)) % 40 AS y FROM generate_series(1, 1500) AS i;
CALL mlops_train('places', 'places', 'y', params => '{"l2": 2, "tolerance": 1e-10}', holdout => 0);
WITH scored AS (SELECT origin, y, mlops_predict_proba('places/1', p) AS proba FROM places AS p),
     gradient AS (SELECT 'origin=' || origin AS term, key AS output, sum((y = key)::int - value::float8) AS g
                    FROM scored, jsonb_each_text(proba) GROUP BY 1, 2)
SELECT count(*) AS coefficients, max(abs(g - 2 * estimate)) < 1e-6 AS optimal FROM gradient JOIN mlops_coefficients('places/1') USING (term, output);
CALL mlops_train('places', 'places', params => '{"l1": 2}', holdout => 0);
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('places', 'places', params => '{"l2": 2, "solver": "newton"}', holdout => 0);
CALL mlops_train('shrunk', 'SELECT x1, x2, y FROM many WHERE id <= 5000', algorithm => 'logistic_regression', params => '{"l1": 10, "solver": "lbfgs"}', holdout => 0);

-- l1 leaves columns out, by class; a path chooses how many
CREATE TABLE wide AS SELECT x1, x2, sin(id * 2.9) AS noise1, cos(id * 3.7) AS noise2, (ARRAY['low', 'middle', 'high'])[1 + (y > 3)::int + (y > 5)::int] AS y
  FROM many WHERE id <= 3000;
CALL mlops_train('wide', 'wide', 'y', params => '{"l1": 60}', holdout => 0);
SELECT output, term, estimate <> 0 AS kept FROM mlops_coefficients('wide/1') WHERE term <> '(intercept)' AND estimate <> 0 ORDER BY output COLLATE "C", term COLLATE "C";
CREATE FUNCTION optimal(reference text, l1 float8, l2 float8) RETURNS boolean LANGUAGE sql AS $$
  SELECT bool_and(CASE WHEN b.estimate <> 0 THEN abs(g / d - l2 * b.estimate * d - l1 * sign(b.estimate)) < 1e-4 * l1 ELSE abs(g / d) < l1 END)
    FROM mlops_coefficients(reference) AS b,
         LATERAL (SELECT sum(x * ((y = b.output)::int - p)) AS g, stddev_pop(x) AS d
                    FROM (SELECT y, (mlops_predict_proba(reference, w) ->> b.output)::float8 AS p, (to_jsonb(w) ->> b.term)::float8 AS x FROM wide AS w) AS s) AS t
   WHERE b.term <> '(intercept)' $$;
SELECT optimal('wide/1', 60, 0);
CALL mlops_train('wide', 'wide', params => '{"path": "bic", "path_lambdas": 20, "path_ratio": 0.001}', holdout => 0);
SELECT term, bool_or(estimate <> 0) AS kept FROM mlops_coefficients('wide/2') WHERE term <> '(intercept)' GROUP BY term ORDER BY term COLLATE "C";
SELECT optimal('wide/2', (facts ->> 'l1')::float8, 0) FROM mlops.version WHERE model = 'wide' AND version = 2;
CALL mlops_train('wide', 'wide', params => '{"path": "holdout", "path_l1_ratio": 0.5, "path_lambdas": 20}', holdout => 0);
SELECT optimal('wide/3', (facts ->> 'l1')::float8, (facts ->> 'l2')::float8),
       (facts ->> 'l1')::float8 = (facts ->> 'l2')::float8 AS half_ridge,
       jsonb_array_length(facts -> 'path_lambda') = jsonb_array_length(facts -> 'path_criterion') AS judged
  FROM mlops.version WHERE model = 'wide' AND version = 3;

-- two classes with l1 have one row of coefficients
CALL mlops_train('two', $$SELECT x1, x2, noise1, noise2, y = 'low' AS y FROM wide$$, 'y', params => '{"l1": 60}', holdout => 0);
SELECT output, term, estimate <> 0 AS kept FROM mlops_coefficients('two/1') WHERE term <> '(intercept)' ORDER BY term COLLATE "C";
WITH s AS (SELECT x1, (y = 'low')::int - mlops_predict('two/1', wide) AS r FROM wide)
SELECT abs(abs(sum(x1 * r)) / stddev_pop(x1) - 60) < 1e-4 AS x1, abs(sum(r)) < 1e-6 AS intercept FROM s;
CALL mlops_train('two', $$SELECT x1, x2, noise1, noise2, y = 'low' AS y FROM wide$$, params => '{"path": "bic"}', holdout => 0);
SELECT term FROM mlops_coefficients('two/2') WHERE estimate <> 0 ORDER BY term COLLATE "C";

-- a class that no training row has gets next to no probability
CREATE TYPE size AS ENUM ('small', 'medium', 'large', 'giant');
CREATE TABLE sized AS SELECT i AS at, sin(i) AS x, (CASE WHEN i > 290 THEN 'giant' WHEN sin(i) + sin(i * 7.7) > 0.5 THEN 'large'
  WHEN cos(i * 3.3) > 0 THEN 'medium' ELSE 'small' END)::size AS y FROM generate_series(1, 300) AS i;
CALL mlops_train('sized', 'sized', 'y', time_column => 'at', exclude => '{at}', holdout => 0.05);
SELECT (mlops_predict_proba('sized/1', s) ->> 'giant')::float8 < 1e-12 AS never FROM sized AS s LIMIT 1;
SELECT warnings FROM mlops.version WHERE model = 'sized';

-- weights and balanced classes work as with two
CALL mlops_train('trip', 'SELECT region, by FROM trips', params => '{"class_weight": "balanced"}', holdout => 0);
SELECT output, abs(estimate - ln(20 / 30.0 / (10 / 35.0))) < 1e-9 AS balanced FROM mlops_coefficients('trip/2') WHERE output = 'car' AND term = '(intercept)';

-- no finite solution: classes told apart, all of them or one of them from one other
CALL mlops_train('apart', $$SELECT i AS x, CASE WHEN i < 100 THEN 'a' WHEN i < 200 THEN 'b' ELSE 'c' END AS y FROM generate_series(1, 300) AS i$$, 'y', holdout => 0);
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('apart', $$SELECT region, i % 3 AS x, CASE WHEN region = 'north' AND by = 'bus' THEN 'car' ELSE by END AS y FROM trips$$, 'y', holdout => 0);
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('apart', $$SELECT region, i % 3 AS x, CASE WHEN region = 'north' AND by = 'bus' THEN 'car' ELSE by END AS y FROM trips$$, 'y',
  params => '{"l2": 1}', holdout => 0);
CALL mlops_train('apart', $$SELECT region, i % 3 AS x, CASE WHEN region = 'north' AND by = 'bus' THEN 'car' ELSE by END AS y FROM trips$$, 'y',
  params => '{"solver": "lbfgs"}', holdout => 0);
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('few', 'SELECT x1, x2, y FROM many WHERE id <= 300', 'y', algorithm => 'logistic_regression', params => '{"max_iterations": 1}', holdout => 0);
\echo :LAST_ERROR_SQLSTATE

SELECT count(mlops_drop_model(m, force => true)::text) AS dropped
  FROM unnest(ARRAY['trip', 'many', 'shrunk', 'wide', 'two', 'sized', 'apart', 'places']) AS m;
DROP SCHEMA multinomial_test CASCADE;
