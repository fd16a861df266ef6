-- An offset is added to the linear predictor as it is, an exposure by its
-- logarithm: counts in unequal times, areas or groups become rates.

CREATE SCHEMA glm_offset_test;
SET search_path = glm_offset_test;
SET client_min_messages = warning;

-- deaths of British doctors by person-years (Breslow & Day 1987; Dobson & Barnett,
-- An Introduction to Generalized Linear Models, 3rd ed., tables 9.1 and 9.2). They
-- print agecat 2.376 (0.208), agesq -0.198 (0.027), smoke 1.441 (0.372), smkage
-- -0.308 (0.097), deviance 1.64
CREATE TABLE doctors AS
SELECT age AS agecat, age * age AS agesq, smoke, smoke * age AS smkage, deaths, years
  FROM (VALUES (1, 1, 32, 52407), (2, 1, 104, 43248), (3, 1, 206, 28612), (4, 1, 186, 12663), (5, 1, 102, 5317),
               (1, 0, 2, 18790), (2, 0, 12, 10673), (3, 0, 28, 5710), (4, 0, 28, 2585), (5, 0, 31, 1462)) AS t (age, smoke, deaths, years);
CALL mlops_train('doctors', 'doctors', 'deaths', algorithm => 'glm', params => '{"family": "poisson", "exposure": "years"}', holdout => 0);
SELECT term, round(estimate::numeric, 3) AS estimate, round(std_error::numeric, 3) AS std_error
  FROM mlops_coefficients('doctors/1') ORDER BY term COLLATE "C";
SELECT round((facts ->> 'deviance')::numeric, 2) AS deviance, round((facts ->> 'null_deviance')::numeric, 1) AS null_deviance
  FROM mlops.version WHERE model = 'doctors';

-- the exposure is no feature of the design, but an input: twice the years, twice
-- the deaths
SELECT abs(mlops_predict('doctors/1', t) / mlops_predict('doctors/1', d) - 2) < 1e-12 AS twice
  FROM doctors AS d, LATERAL (SELECT d.agecat, d.agesq, d.smoke, d.smkage, d.years * 2 AS years) AS t LIMIT 1;
SELECT round(sum(mlops_predict('doctors/1', doctors))::numeric, 6) AS predicted, sum(deaths) AS deaths FROM doctors;

-- an offset is the same without the logarithm
CALL mlops_train('offset', 'SELECT agecat, agesq, smoke, smkage, deaths, ln(years) AS log_years FROM doctors', 'deaths',
                 algorithm => 'glm', params => '{"family": "poisson", "offset": "log_years"}', holdout => 0);
SELECT term, abs(a.estimate - b.estimate) < 1e-12 AS same, abs(a.std_error - b.std_error) < 1e-12 AS same_error
  FROM mlops_coefficients('doctors/1') AS a JOIN mlops_coefficients('offset/1') AS b USING (term) ORDER BY term COLLATE "C";

-- it is read where features are listed without it, and can be alone: a rate
CALL mlops_train('offset', 'doctors', 'deaths', algorithm => 'glm', features => '{smoke}',
                 params => '{"family": "poisson", "exposure": "years"}', holdout => 0);
SELECT term FROM mlops_coefficients('offset/2') ORDER BY term COLLATE "C";
CALL mlops_train('offset', 'SELECT deaths, years FROM doctors', 'deaths', algorithm => 'glm',
                 params => '{"family": "poisson", "exposure": "years"}', holdout => 0);
SELECT abs(exp(estimate) - (SELECT sum(deaths) / sum(years)::float8 FROM doctors)) < 1e-12 AS rate FROM mlops_coefficients('offset/3');

-- other families and links take one too: y - offset is what remains to be explained
CALL mlops_train('shifted', 'SELECT smoke, agecat, deaths::float8 AS y, 3 * agecat AS o FROM doctors', 'y', algorithm => 'glm', params => '{"offset": "o"}', holdout => 0);
CALL mlops_train('difference', 'SELECT smoke, agecat, deaths - 3 * agecat AS y FROM doctors', 'y', holdout => 0);
SELECT term, abs(a.estimate - b.estimate) < 1e-9 AS same, abs(a.std_error - b.std_error) < 1e-9 AS same_error
  FROM mlops_coefficients('shifted/1') AS a JOIN mlops_coefficients('difference/1') AS b USING (term) ORDER BY term COLLATE "C";
CALL mlops_train('classes', 'SELECT smoke, agecat, deaths > 30 AS y, agecat / 10.0 AS o FROM doctors', 'y', algorithm => 'glm',
                 params => '{"offset": "o", "l2": 0.1}', holdout => 0);
SELECT abs(ln(a / (1 - a)) - ln(b / (1 - b)) - 1) < 1e-9 AS one_more
  FROM mlops_predict('classes/1', '{"smoke": 1, "agecat": 2, "o": 1.5}') AS a, mlops_predict('classes/1', '{"smoke": 1, "agecat": 2, "o": 0.5}') AS b;

-- contributions add up to the linear predictor, the offset being part of the base
SELECT max(abs(exp(eta) / mlops_predict('doctors/1', d) - 1)) < 1e-12 AS adds_up
  FROM doctors AS d, LATERAL (SELECT sum(contribution) AS eta FROM mlops_explain('doctors/1', d)) AS e;

-- a row without it scores NULL, and so does one with an exposure below 0
SELECT mlops_predict('doctors/1', '{"agecat": 1, "agesq": 1, "smoke": 0, "smkage": 0, "years": null}') IS NULL AS null,
       mlops_predict('doctors/1', '{"agecat": 1, "agesq": 1, "smoke": 0, "smkage": 0, "years": -1}') IS NULL AS negative,
       mlops_predict('doctors/1', '{"agecat": 1, "agesq": 1, "smoke": 0, "smkage": 0, "years": 1000}') > 0 AS there;
SELECT count(*) AS rows, count(mlops_predict('doctors/1', d)) AS scored
  FROM (SELECT agecat, agesq, smoke, smkage, CASE WHEN agecat > 1 THEN years END AS years FROM doctors) AS d;

-- in training such rows are left out and counted
CALL mlops_train('skipped', 'SELECT smoke, deaths, CASE WHEN agecat > 1 THEN years END AS years FROM doctors', 'deaths',
                 algorithm => 'glm', params => '{"family": "poisson", "exposure": "years"}', holdout => 0);
SELECT rows_used, rows_skipped FROM mlops.version WHERE model = 'skipped';

-- an exposure is positive, a number, and in the source
CALL mlops_train('wrong', 'SELECT smoke, deaths, years - 1462 AS years FROM doctors', 'deaths', algorithm => 'glm', params => '{"family": "poisson", "exposure": "years"}', holdout => 0);
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('wrong', 'doctors', 'deaths', algorithm => 'glm', params => '{"family": "poisson", "exposure": "year"}', holdout => 0);
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('wrong', 'doctors', 'deaths', algorithm => 'glm', params => '{"family": "poisson", "exposure": "years"}', exclude => '{years}', holdout => 0);
CALL mlops_train('wrong', 'SELECT smoke, deaths, years::text AS years FROM doctors', 'deaths', algorithm => 'glm', params => '{"family": "poisson", "exposure": "years"}', holdout => 0);
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('wrong', 'doctors', 'deaths', algorithm => 'glm', params => '{"exposure": "years", "offset": "smoke"}', holdout => 0);
\echo :LAST_ERROR_SQLSTATE

-- the same rows in another order give the same bytes
CALL mlops_train('doctors', 'SELECT * FROM doctors ORDER BY years', 'deaths', algorithm => 'glm', params => '{"family": "poisson", "exposure": "years"}', holdout => 0);
SELECT count(DISTINCT sha256) AS artifacts, count(*) AS versions FROM mlops.version WHERE model = 'doctors';

SELECT count(mlops_drop_model(model, force => true)::text) AS dropped FROM mlops.model
 WHERE model IN ('doctors', 'offset', 'shifted', 'difference', 'classes', 'skipped');
DROP SCHEMA glm_offset_test CASCADE;
