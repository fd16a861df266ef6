-- l1 leaves columns out, l2 shrinks them, both together are the elastic net.
-- The solution is the one at which no coefficient can improve the objective: the
-- gradient of a column that stays equals its penalty, that of a column left
-- out is smaller. A path of penalties is chosen from by rows held out of the
-- fit or by an information criterion.

CREATE SCHEMA elastic_net_test;
SET search_path = elastic_net_test;
SET client_min_messages = warning;

-- y = 3 a - 2 b + noise; c, e and f are of no use, and f is far from the origin
CREATE TABLE points AS
SELECT a, b, c, e, 1e6 + 10 * f AS f, 3 * a - 2 * b + noise AS y, 1 + i % 3 AS w
  FROM (SELECT i, sin(i) AS a, cos(i * 1.7) + sin(i) / 2 AS b, sin(i * 2.3) AS c, sin(i * 3.1) + c2 AS e, cos(i * 0.9) AS f,
               sin(i * 12.9898) * 0.5 AS noise
          FROM (SELECT i, cos(i * 1.7) AS c2 FROM generate_series(1, 400) AS i) AS s) AS t;

-- orthogonal columns of one size: the least-squares coefficients less l1 / (n d^2), and over 1 + l2 / (n d^2)
CREATE TABLE square AS
SELECT a, b, 5 + 3 * a + 0.1 * b AS y FROM unnest(ARRAY[-1, 1]) AS a, unnest(ARRAY[-1.0, 1.0]) AS b, generate_series(1, 5);
CALL mlops_train('square', 'square', 'y', params => '{"l1": 20}', holdout => 0);
CALL mlops_train('square', 'square', params => '{"l1": 20, "l2": 20}', holdout => 0);
SELECT term, round(estimate::numeric, 12) AS lasso,
       (SELECT round(estimate::numeric, 12) FROM mlops_coefficients('square/2') AS s WHERE s.term = c.term) AS elastic_net
  FROM mlops_coefficients('square/1') AS c ORDER BY term COLLATE "C";

-- the conditions of optimality, in standardised units: what is left out has a gradient below l1
CALL mlops_train('net', 'SELECT a, b, c, e, f, y FROM points', 'y', params => '{"l1": 60, "l2": 30}', holdout => 0);
CREATE FUNCTION conditions(model text, l1 float8, l2 float8, OUT term text, OUT kept boolean, OUT optimal boolean)
RETURNS SETOF record LANGUAGE sql AS $$
  SELECT x.term, b.estimate <> 0,
         CASE WHEN b.estimate <> 0 THEN abs(g - l2 * b.estimate * d - l1 * sign(b.estimate)) < 1e-7 * l1 ELSE abs(g) < l1 END
    FROM (SELECT term, stddev_pop(x) AS d, sum((x - m) / d0 * r) AS g
            FROM (SELECT term, x, avg(x) OVER (PARTITION BY term) AS m, stddev_pop(x) OVER (PARTITION BY term) AS d0,
                         p.y - mlops_predict(model, p) AS r
                    FROM points AS p, LATERAL (VALUES ('a', a), ('b', b), ('c', c), ('e', e), ('f', f)) AS v (term, x)) AS s
           GROUP BY term) AS x JOIN mlops_coefficients(model) AS b USING (term) ORDER BY term COLLATE "C" $$;
SELECT * FROM conditions('net/1', 60, 30);
SELECT facts -> 'l1' AS l1, facts -> 'l2' AS l2, facts -> 'nonzero' AS nonzero FROM mlops.version WHERE model = 'net';

-- a penalty is a sum beside a sum over rows: weights count like repeated rows
CALL mlops_train('weighted', 'SELECT a, b, c, y, w FROM points', 'y', weight => 'w', params => '{"l1": 60}', holdout => 0);
CALL mlops_train('repeated', 'SELECT a, b, c, y FROM points, generate_series(1, w)', 'y', params => '{"l1": 60}', holdout => 0);
SELECT bool_and(abs(x.estimate - y.estimate) < 1e-9) AS same
  FROM mlops_coefficients('weighted/1') x JOIN mlops_coefficients('repeated/1') y USING (term);

-- the largest penalty leaves the mean alone; without a penalty l1 => 0 is least squares
CALL mlops_train('net', 'SELECT a, b, c, e, f, y FROM points', params => '{"l1": 1e6}', holdout => 0);
SELECT bool_and(estimate = 0) AS nothing_left FROM mlops_coefficients('net/2') WHERE term <> '(intercept)';
SELECT max(abs(mlops_predict('net/2', p) - (SELECT avg(y) FROM points))) < 1e-9 AS the_mean FROM points AS p;

-- penalised levels are all there, without a base; an intercept is not penalised, nor needed
CALL mlops_train('levels', $$SELECT CASE WHEN a > 0.5 THEN 'high' WHEN a > 0 THEN 'middle' ELSE 'low' END AS level, b, y FROM points$$, 'y',
  params => '{"l1": 40}', holdout => 0);
SELECT term, estimate = 0 AS left_out FROM mlops_coefficients('levels/1') ORDER BY term COLLATE "C";
CALL mlops_train('levels', 'SELECT a, b, y FROM points', params => '{"l1": 1, "intercept": false}', holdout => 0);
SELECT term FROM mlops_coefficients('levels/2') ORDER BY term COLLATE "C";

-- a path: by rows held out of the fit, by bic, half of it ridge
CALL mlops_train('path', 'SELECT a, b, c, e, f, y FROM points', 'y', params => '{"path": "holdout"}', holdout => 0);
CALL mlops_train('path', 'SELECT a, b, c, e, f, y FROM points', params => '{"path": "bic", "path_lambdas": 30}', holdout => 0);
CALL mlops_train('path', 'SELECT a, b, c, e, f, y FROM points', params => '{"path": "aic", "path_l1_ratio": 0.5}', holdout => 0);
SELECT version, jsonb_array_length(facts -> 'path_lambda') <= (params ->> 'path_lambdas')::int AS tried,
       jsonb_array_length(facts -> 'path_lambda') = jsonb_array_length(facts -> 'path_criterion') AS judged,
       (facts -> 'path_nonzero' ->> 0)::int <= 1 AS starts_empty, (facts ->> 'nonzero')::int BETWEEN 2 AND 5 AS chosen,
       (SELECT min(c::float8) FROM jsonb_array_elements_text(facts -> 'path_criterion') AS c) =
       (SELECT c::float8 FROM jsonb_array_elements_text(facts -> 'path_lambda') WITH ORDINALITY AS l (lambda, i)
          JOIN jsonb_array_elements_text(facts -> 'path_criterion') WITH ORDINALITY AS k (c, i) USING (i)
         WHERE lambda::float8 = (facts ->> 'l1')::float8 + (facts ->> 'l2')::float8) AS best_chosen,
       ((facts ->> 'l2')::float8 = (facts ->> 'l1')::float8) AS half_ridge
  FROM mlops.version WHERE model = 'path' ORDER BY version;
SELECT term, estimate <> 0 AS kept FROM mlops_coefficients('path/2') WHERE term IN ('a', 'b', 'c') ORDER BY term;
SELECT bool_and(optimal) AS optimal FROM mlops.version AS v, LATERAL conditions('path/2', (facts ->> 'l1')::float8, (facts ->> 'l2')::float8)
 WHERE model = 'path' AND version = 2;

-- refused
CALL mlops_train('path', 'SELECT a, y FROM points', params => '{"path": "bic", "l1": 1}');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('path', 'SELECT a, y FROM points', params => '{"l1": -1}');
CALL mlops_train('path', 'SELECT a, y FROM points', params => '{"path": "best"}');

SELECT count(mlops_drop_model(m, force => true)::text) AS dropped
  FROM unnest(ARRAY['square', 'net', 'weighted', 'repeated', 'levels', 'path']) AS m;
DROP SCHEMA elastic_net_test CASCADE;
