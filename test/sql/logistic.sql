-- Logistic regression ends at the maximum of the likelihood over all rows or
-- says why there is none. At the maximum the score equations hold: the
-- predictions and the labels have the same mean, overall and weighted by every
-- feature. Collinear columns are dropped by R's convention: earlier columns
-- win, the others have NULL estimates and are named.

CREATE SCHEMA logistic_test;
SET search_path = logistic_test;
SET client_min_messages = warning;

-- enough rows for the first steps to run over samples
CREATE TABLE many AS
SELECT i AS id, x1, x2, r, (hashint8(i) & 1023) / 1024.0 < 1 / (1 + exp(1 - x1 + (x2 - 1000) / 50 - r)) AS y
  FROM (SELECT i, sin(i * 0.7) * 2 AS x1, 1000 + cos(i * 1.3) * 50 AS x2, (i % 500 = 0)::int AS r
          FROM generate_series(1, 70000) AS i) AS s;

CALL mlops_train('likely', 'many', 'y', exclude => '{id}', holdout => 0);
WITH scored AS (SELECT y::int - mlops_predict('likely/1', many) AS residual, x1, x2, r FROM many)
SELECT abs(sum(residual)) < 1e-6 AS intercept, abs(sum(residual * x1)) < 1e-6 AS x1,
       abs(sum(residual * x2)) < 1e-4 AS x2, abs(sum(residual * r)) < 1e-6 AS r
  FROM scored;
SELECT term, std_error > 0 AND abs(statistic - estimate / std_error) < 1e-9 AS inference,
       abs(odds_ratio / exp(estimate) - 1) < 1e-9 AS odds
  FROM mlops_coefficients('likely/1') WHERE term <> '(intercept)' ORDER BY term COLLATE "C";

-- weights count: a row of weight 2 is the row twice
CALL mlops_train('counted', 'SELECT x1, r, y, 1 + id % 2 AS w FROM many WHERE id <= 2000', 'y', weight => 'w', holdout => 0);
CALL mlops_train('repeated', 'SELECT x1, r, y FROM many, generate_series(0, id % 2) WHERE id <= 2000', 'y', holdout => 0);
SELECT term, abs(a.estimate - b.estimate) < 1e-9 AS same_estimate, abs(a.std_error / b.std_error - 1) < 1e-9 AS same_error
  FROM mlops_coefficients('counted/1') a JOIN mlops_coefficients('repeated/1') b USING (term) ORDER BY term COLLATE "C";

-- collinear columns
CALL mlops_train('collinear', 'SELECT x1, x2, 3 * x1 - x2 AS x3, r, y FROM many', 'y', holdout => 0);
SELECT term, estimate IS NULL AS dropped FROM mlops_coefficients('collinear/1') ORDER BY term COLLATE "C";
SELECT max(abs(mlops_predict('collinear/1', s) - mlops_predict('likely/1', s))) < 1e-9 AS same_model
  FROM (SELECT x1, x2, 3 * x1 - x2 AS x3, r FROM many LIMIT 100) AS s;

-- a penalty: no inference, and smaller coefficients
CALL mlops_train('likely', 'many', 'y', exclude => '{id}', params => '{"l2": 1000}', holdout => 0);
SELECT term, b.std_error IS NULL AS no_inference, abs(b.estimate) < abs(a.estimate) AS smaller
  FROM mlops_coefficients('likely/1') a JOIN mlops_coefficients('likely/2') b USING (term, feature)
 WHERE term IN ('x1', 'x2') ORDER BY term;

-- no finite solution: complete separation, and that of one category alone
CALL mlops_train('apart', 'SELECT id::float8 AS age, id > 500 AS y FROM many WHERE id <= 1000', 'y', holdout => 0);
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('apart', 'SELECT x1, r, y OR r = 1 AS y FROM many', 'y', holdout => 0);
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('apart', 'SELECT x1, r, y OR r = 1 AS y FROM many', 'y', params => '{"l2": 1}', holdout => 0);

-- not there yet
CALL mlops_train('few', 'SELECT x1, x2, y FROM many WHERE id <= 300', 'y', params => '{"max_iterations": 1}', holdout => 0);
\echo :LAST_ERROR_SQLSTATE

SELECT count(mlops_drop_model(m, force => true)::text) AS dropped
  FROM unnest(ARRAY['likely', 'counted', 'repeated', 'collinear', 'apart']) AS m;
DROP SCHEMA logistic_test CASCADE;
