-- A linear support vector machine: the minimum of the squared hinge losses and
-- of l2 / 2 times the squared coefficients in standardised units, and Platt's
-- probabilities of held-out folds. (The objective agrees with scikit-learn 1.2.1's
-- LinearSVC(C = 1 / l2, dual = False) over standardised columns to 1e-14;
-- test/t/017_generalized.pl holds the figure.)

CREATE SCHEMA linear_svm_test;
SET search_path = linear_svm_test;
SET client_min_messages = warning;

CREATE TABLE points AS
SELECT i AS id, x1, x2, CASE WHEN i % 17 > 0 THEN 'g' || i % 3 END AS g, 1 + i % 2 AS w,
       x1 - (x2 - 500) / 40 + i % 3 + ((i * 7919 % 101) - 50) / 30.0 > 1 AS y
  FROM (SELECT i, sin(i * 0.7) * 2 AS x1, 500 + cos(i * 1.3) * 60 AS x2 FROM generate_series(1, 900) AS i) AS s;

-- the decision function is a series among the facts: intercept, then the columns
-- in order. P = 1 / (1 + exp(-(slope f + shift)))
CALL mlops_train('svm', 'SELECT x1, x2, w, y FROM points', 'y', algorithm => 'linear_svm', weight => 'w', params => '{"l2": 3}', holdout => 0);
CREATE TABLE decided AS
SELECT p.*, b[1] + b[2] * x1 + b[3] * x2 AS f, b, facts
  FROM points AS p, mlops.version AS v, LATERAL (SELECT array_agg(e::float8 ORDER BY n) AS b FROM jsonb_array_elements_text(facts -> 'decision_coefficients') WITH ORDINALITY AS t (e, n)) AS c
 WHERE v.model = 'svm' AND v.version = 1;
SELECT max(abs(mlops_predict('svm/1', d) - 1 / (1 + exp(-((facts ->> 'slope')::float8 * f + (facts ->> 'shift')::float8))))) < 1e-12 AS probability FROM decided AS d;

-- at the minimum the losses' gradient is that of the penalty
WITH residual AS (
    SELECT *, 2 * w * s * greatest(0, 1 - s * f) AS r FROM decided, LATERAL (SELECT CASE WHEN y THEN 1 ELSE -1 END AS s) AS sign
), variance AS (
    SELECT sum(w * x1 * x1) / sum(w) - (sum(w * x1) / sum(w)) ^ 2 AS v1, sum(w * (x2 - 500) ^ 2) / sum(w) - (sum(w * (x2 - 500)) / sum(w)) ^ 2 AS v2 FROM points
)
SELECT abs(sum(r)) < 1e-6 AS intercept, abs(sum(r * x1) - 3 * min(v1) * min(b[2])) < 1e-6 AS x1, abs(sum(r * x2) - 3 * min(v2) * min(b[3])) < 1e-4 AS x2
  FROM residual, variance;

-- margins
SELECT abs(sum(w) FILTER (WHERE s * f < 1)::float8 / sum(w) - min((facts ->> 'support_share')::float8)) < 1e-12 AS support_share,
       abs(sum(w) FILTER (WHERE s * f <= 0)::float8 / sum(w) - min((facts ->> 'error_share')::float8)) < 1e-12 AS error_share,
       abs(sum(w * s * f) / sum(w) - min((facts ->> 'mean_margin')::float8)) < 1e-9 AS mean_margin,
       min((facts ->> 'slope')::float8) > 0 AS slope
  FROM decided, LATERAL (SELECT CASE WHEN y THEN 1 ELSE -1 END AS s) AS sign;

-- probabilities are about right where decisions are only signs: in each fifth of
-- them the share of positives is near their mean
SELECT count(*) AS fifths, max(abs(share - p)) < 0.12 AS near
  FROM (SELECT avg(y::int) AS share, avg(p) AS p
          FROM (SELECT y, p, ntile(5) OVER (ORDER BY p) AS fifth FROM (SELECT y, mlops_predict('svm/1', d) AS p FROM decided AS d) AS s) AS t GROUP BY fifth) AS u;

-- a row of weight 2 is the row twice, for the decision function (folds differ)
CALL mlops_train('twice', 'SELECT x1, x2, y FROM points, generate_series(1, w)', 'y', algorithm => 'linear_svm', params => '{"l2": 3}', holdout => 0);
SELECT max(abs(a.e::float8 / b.e::float8 - 1)) < 1e-8 AS same
  FROM mlops.version AS v, mlops.version AS u, jsonb_array_elements_text(v.facts -> 'decision_coefficients') WITH ORDINALITY AS a (e, n)
  JOIN LATERAL jsonb_array_elements_text(u.facts -> 'decision_coefficients') WITH ORDINALITY AS b (e, n) USING (n)
 WHERE v.model = 'svm' AND u.model = 'twice';

-- categories, NULLs; another order gives the same bytes, another seed other folds
CALL mlops_train('mixed', 'points', 'y', algorithm => 'linear_svm', exclude => '{id}', weight => 'w');
CALL mlops_train('mixed', 'SELECT * FROM points ORDER BY x2', 'y', algorithm => 'linear_svm', exclude => '{id}', weight => 'w');
CALL mlops_train('mixed', 'points', 'y', algorithm => 'linear_svm', exclude => '{id}', weight => 'w', holdout => 0, seed => 7);
CALL mlops_train('mixed', 'points', 'y', algorithm => 'linear_svm', exclude => '{id}', weight => 'w', holdout => 0, seed => 8);
SELECT version, sha256 = lag(sha256) OVER w AS same_bytes, facts -> 'decision_coefficients' = lag(facts -> 'decision_coefficients') OVER w AS same_decisions,
       (holdout_metrics ->> 'roc_auc')::float8 > 0.9 AS good
  FROM mlops.version WHERE model = 'mixed' WINDOW w AS (ORDER BY version) ORDER BY version;
SELECT term FROM mlops_coefficients('mixed/1') ORDER BY term COLLATE "C";

-- classes that a line tells apart have a finite machine, and finite probabilities
CALL mlops_train('apart', 'SELECT x1, x1 > 0 AS y FROM points', 'y', algorithm => 'linear_svm', holdout => 0);
SELECT (facts ->> 'error_share')::float8 < 0.01 AS apart, mlops_predict('apart/1', '{"x1": 2}') > 0.95 AS sure FROM mlops.version WHERE model = 'apart';

-- without an intercept the machine goes through 0; the sigmoid keeps its shift
CALL mlops_train('through_0', 'SELECT x1, y FROM points', 'y', algorithm => 'linear_svm', params => '{"intercept": false}', holdout => 0);
SELECT (facts -> 'decision_coefficients' ->> 0)::float8 AS intercept, (facts ->> 'shift')::float8 <> 0 AS shift FROM mlops.version WHERE model = 'through_0';

-- enough rows for the first steps to run over a sample
CALL mlops_train('many', 'SELECT sin(i * 0.7) AS x1, cos(i * 1.3) AS x2, sin(i * 0.7) + cos(i * 1.3) + (i * 7919 % 101 - 50) / 50.0 > 0 AS y FROM generate_series(1, 70000) AS i', 'y', algorithm => 'linear_svm');
SELECT (holdout_metrics ->> 'roc_auc')::float8 > 0.9 AS good FROM mlops.version WHERE model = 'many';

-- what it does not do
CALL mlops_train('wrong', 'SELECT x1, g AS y FROM points', 'y', algorithm => 'linear_svm');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('wrong', 'SELECT x1, x2, y FROM points', 'y', algorithm => 'linear_svm', params => '{"l2": 0}');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('wrong', 'SELECT x1, x2, y FROM points', 'y', algorithm => 'linear_svm', params => '{"max_iterations": 1}');
\echo :LAST_ERROR_SQLSTATE

SELECT count(mlops_drop_model(model, force => true)::text) AS dropped FROM mlops.model
 WHERE model IN ('svm', 'twice', 'mixed', 'apart', 'through_0', 'many');
DROP SCHEMA linear_svm_test CASCADE;
