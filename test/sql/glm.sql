-- Generalized linear models give what R's glm gives: published examples, to all
-- digits published. The figures of a fit are those of summary.glm.

CREATE SCHEMA glm_test;
SET search_path = glm_test;
SET client_min_messages = warning;

CREATE FUNCTION fact(model text, name text) RETURNS numeric LANGUAGE sql AS $$
SELECT round((facts ->> name)::numeric, 4) FROM mlops.version AS v WHERE v.model = fact.model ORDER BY version DESC LIMIT 1 $$;

-- counts: Dobson, An Introduction to Generalized Linear Models (1990), page 93,
-- the first example of R's help(glm). R prints the estimates 3.045, -0.4543,
-- -0.2930, the errors 0.1709, 0.2022, 0.1927, 0.2000, deviance 5.1291 on 4 and
-- null deviance 10.5814 on 8 degrees of freedom, AIC 56.76
CREATE TABLE dobson AS
SELECT * FROM (VALUES (18, 'a', 'x'), (17, 'b', 'x'), (15, 'c', 'x'), (20, 'a', 'y'), (10, 'b', 'y'), (20, 'c', 'y'),
                      (25, 'a', 'z'), (13, 'b', 'z'), (12, 'c', 'z')) AS t (counts, outcome, treatment);
CALL mlops_train('dobson', 'dobson', 'counts', algorithm => 'glm',
                 params => '{"family": "poisson", "min_category_rows": 1}', holdout => 0);
SELECT term, round(estimate::numeric, 4) + 0.0 AS estimate, round(std_error::numeric, 4) AS std_error, round(p_value::numeric, 4) AS p_value
  FROM mlops_coefficients('dobson/1') ORDER BY term COLLATE "C";
SELECT fact('dobson', 'deviance') AS deviance, fact('dobson', 'degrees_of_freedom') AS df, fact('dobson', 'null_deviance') AS null_deviance,
       fact('dobson', 'null_degrees_of_freedom') AS null_df, round(fact('dobson', 'aic'), 2) AS aic, fact('dobson', 'dispersion') AS dispersion;

-- predictions are means: those of a canonical fit add up to what was counted
SELECT round(sum(mlops_predict('dobson/1', dobson))::numeric, 8) AS predicted, sum(counts) AS counted FROM dobson;

-- a gamma distribution with its canonical link: McCullagh & Nelder (1989), pages
-- 300-2, the second example of R's help(glm). R prints -0.01655438 and 0.01534311
-- with the errors 0.00092754 and 0.00041496, dispersion 0.002446059, deviance
-- 0.01673, null deviance 3.51283, AIC 37.99
CREATE TABLE clotting AS
SELECT ln(u) AS log_u, lot1 FROM (VALUES (5.0::float8, 118), (10, 58), (15, 42), (20, 35), (30, 27), (40, 25), (60, 21), (80, 19), (100, 18)) AS t (u, lot1);
CALL mlops_train('clotting', 'clotting', 'lot1', algorithm => 'glm', params => '{"family": "gamma"}', holdout => 0);
SELECT term, round(estimate::numeric, 8) AS estimate, round(std_error::numeric, 7) AS std_error, round(statistic::numeric, 2) AS t
  FROM mlops_coefficients('clotting/1') ORDER BY term COLLATE "C";
SELECT round((facts ->> 'dispersion')::numeric, 5) AS dispersion, round((facts ->> 'deviance')::numeric, 5) AS deviance,
       fact('clotting', 'null_deviance') AS null_deviance, round(fact('clotting', 'aic'), 2) AS aic
  FROM mlops.version WHERE model = 'clotting';

-- the mean is 1 / eta
SELECT abs(mlops_predict('clotting/1', clotting) * (a.estimate + b.estimate * log_u) - 1) < 1e-12 AS inverse
  FROM clotting, mlops_coefficients('clotting/1') AS a, mlops_coefficients('clotting/1') AS b
 WHERE a.term = '(intercept)' AND b.term = 'log_u' LIMIT 1;

-- two classes, logit and probit: beetles killed by carbon disulphide (Bliss 1935;
-- Dobson & Barnett, table 7.2), one row for each result with its number as the
-- weight. R prints -60.717 (5.181) and 34.270 (2.912) for logit, -34.935 (2.648)
-- and 19.728 (1.487) for probit; the deviances, 11.232 and 10.120 for the grouped
-- data, differ by the same
CREATE TABLE beetle AS
SELECT dose, killed, CASE WHEN killed THEN k ELSE n - k END AS beetles
  FROM (VALUES (1.6907, 59, 6), (1.7242, 60, 13), (1.7552, 62, 18), (1.7842, 56, 28),
               (1.8113, 63, 52), (1.8369, 59, 53), (1.8610, 62, 61), (1.8839, 60, 60)) AS t (dose, n, k),
       unnest(ARRAY[true, false]) AS killed;
CALL mlops_train('logit', 'beetle', 'killed', algorithm => 'glm', weight => 'beetles', holdout => 0);
CALL mlops_train('probit', 'beetle', 'killed', algorithm => 'glm', params => '{"link": "probit"}', weight => 'beetles', holdout => 0);
SELECT model, term, round(estimate::numeric, 3) AS estimate, round(std_error::numeric, 3) AS std_error
  FROM unnest(ARRAY['logit', 'probit']) AS model, mlops_coefficients(model || '/1') ORDER BY model, term COLLATE "C";
SELECT round((fact('logit', 'deviance') - fact('probit', 'deviance')), 2) AS difference;
SELECT round(mlops_predict('probit/1', '{"dose": 1.7842}')::numeric, 3) AS p;

-- the same as logistic_regression where they meet
CALL mlops_train('logistic', 'beetle', 'killed', weight => 'beetles', holdout => 0);
SELECT term, abs(a.estimate / b.estimate - 1) < 1e-9 AS estimate, abs(a.std_error / b.std_error - 1) < 1e-8 AS std_error
  FROM mlops_coefficients('logit/1') AS a JOIN mlops_coefficients('logistic/1') AS b USING (term) ORDER BY term COLLATE "C";

-- and gaussian as linear_regression, which a number gets without a family
CALL mlops_train('gaussian', 'clotting', 'lot1', algorithm => 'glm', holdout => 0);
CALL mlops_train('least_squares', 'clotting', 'lot1', holdout => 0);
SELECT term, abs(a.estimate / b.estimate - 1) < 1e-9 AS estimate, abs(a.std_error / b.std_error - 1) < 1e-9 AS std_error,
       abs(a.p_value / b.p_value - 1) < 1e-7 AS p_value
  FROM mlops_coefficients('gaussian/1') AS a JOIN mlops_coefficients('least_squares/1') AS b USING (term) ORDER BY term COLLATE "C";
SELECT abs((a.facts ->> 'log_likelihood')::float8 - (b.facts ->> 'log_likelihood')::float8) < 1e-9 AS log_likelihood
  FROM mlops.version AS a, mlops.version AS b WHERE a.model = 'gaussian' AND b.model = 'least_squares';

-- other links: at the optimum the score equations hold, sum w (y - mu) mu' x / V = 0
CREATE TABLE counted AS
SELECT sin(i) AS x1, i % 7 AS x2, 1 + ((3 + sin(i) + i % 7) * (0.5 + (i * 7919 % 101) / 101.0))::int AS n, 1 + i % 3 AS w FROM generate_series(1, 500) AS i;
CREATE FUNCTION score(params jsonb, derivative float8, variance float8) RETURNS TABLE (one float8, x1 float8, x2 float8, size float8) LANGUAGE plpgsql AS $$
DECLARE version int;
BEGIN
    version := mlops_train_now('links', 'counted', 'n', algorithm => 'glm', params => params, weight => 'w', holdout => 0);
    RETURN QUERY SELECT sum(r), sum(r * c.x1), sum(r * c.x2), sum(abs(r))
      FROM counted AS c, mlops_predict('links/' || version, c) AS mu,
           LATERAL (SELECT c.w * (c.n - mu) * mu ^ derivative / mu ^ variance AS r) AS residual;
END $$;
SELECT family, link, abs(one) < 1e-9 * size AS one, abs(s.x1) < 1e-9 * size AS x1, abs(s.x2) < 1e-9 * size AS x2
  FROM (VALUES ('poisson', 'log', 1, 1), ('poisson', 'identity', 0, 1), ('poisson', 'sqrt', 0.5, 1),
               ('gamma', 'inverse', 2, 2), ('gamma', 'log', 1, 2), ('gamma', 'identity', 0, 2),
               ('gaussian', 'identity', 0, 0), ('gaussian', 'log', 1, 0), ('gaussian', 'inverse', 2, 0)) AS t (family, link, derivative, variance),
       score(jsonb_build_object('family', family, 'link', link), derivative, variance) AS s;

-- a penalty: no inference, smaller coefficients
CALL mlops_train('links', 'counted', 'n', algorithm => 'glm', params => '{"family": "poisson", "l2": 1000}', weight => 'w', holdout => 0);
SELECT term, b.std_error IS NULL AS no_inference, abs(b.estimate) < abs(a.estimate) AS smaller
  FROM mlops_coefficients('links/1') AS a JOIN mlops_coefficients('links/10') AS b USING (term) WHERE term <> '(intercept)' ORDER BY term COLLATE "C";

-- columns that others determine are dropped, as everywhere
CALL mlops_train('collinear', 'SELECT x1, x2, 2 * x1 - x2 AS x3, n FROM counted', 'n', algorithm => 'glm', params => '{"family": "poisson"}', holdout => 0);
SELECT term, estimate IS NULL AS dropped FROM mlops_coefficients('collinear/1') ORDER BY term COLLATE "C";

-- a link that the family has not; a family that the target has not
CALL mlops_train('wrong', 'counted', 'n', algorithm => 'glm', params => '{"family": "poisson", "link": "inverse"}');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('wrong', 'beetle', 'killed', algorithm => 'glm', params => '{"family": "poisson"}');
CALL mlops_train('wrong', 'counted', 'n', algorithm => 'glm', params => '{"family": "binomial"}');

-- targets out of a family's range
CALL mlops_train('wrong', 'SELECT x1, n - 3 AS n FROM counted', 'n', algorithm => 'glm', params => '{"family": "poisson"}', holdout => 0);
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('wrong', 'SELECT x1, n - 3 AS n FROM counted', 'n', algorithm => 'glm', params => '{"family": "gamma"}', holdout => 0);

-- no finite solution: a group in which nothing was ever counted, and separation
CALL mlops_train('wrong', 'SELECT x1, x2 = 3 AS g, CASE WHEN x2 = 3 THEN 0 ELSE n END AS n FROM counted', 'n', algorithm => 'glm', params => '{"family": "poisson"}', holdout => 0);
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('wrong', 'SELECT x1, x2, x2 > 3 AS y FROM counted', 'y', algorithm => 'glm', params => '{"link": "probit"}', holdout => 0);
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('right', 'SELECT x1, x2, x2 > 3 AS y FROM counted', 'y', algorithm => 'glm', params => '{"link": "probit", "l2": 1}', holdout => 0);

-- not there yet
CALL mlops_train('wrong', 'counted', 'n', algorithm => 'glm', params => '{"family": "poisson", "max_iterations": 1}', holdout => 0);
\echo :LAST_ERROR_SQLSTATE

SELECT count(mlops_drop_model(model, force => true)::text) AS dropped FROM mlops.model
 WHERE model IN ('dobson', 'clotting', 'logit', 'probit', 'logistic', 'gaussian', 'least_squares', 'links', 'collinear', 'right');
DROP SCHEMA glm_test CASCADE;
