-- Principal components: the directions in which rows differ most. On R's
-- USArrests, standardised, R gives (prcomp(USArrests, scale. = TRUE)) standard
-- deviations of 1.5748783, 0.9948694, 0.5971291 and 0.4164494, and a first
-- component of 0.5358995, 0.5831836, 0.2781909 and 0.5434321 (James, Witten,
-- Hastie & Tibshirani, An Introduction to Statistical Learning, section 10.4).
-- R standardises with divisor n - 1, mlops with n, as scikit-learn does.

CREATE SCHEMA pca_test;
SET search_path = pca_test;
SET client_min_messages = warning;
\i test/sql/include/us_arrests.sql

SELECT mlops_train_now('states', 'us_arrests', algorithm => 'pca', params => '{"components": 4}',
                       exclude => '{state}', holdout => 0) AS version;
SELECT n AS component, round(sqrt(v.value::float8 * 49 / 50)::numeric, 5) AS deviation,
       round((facts -> 'share_by_component' ->> (n - 1)::int)::numeric, 4) AS share
  FROM mlops.version, jsonb_array_elements_text(facts -> 'variance_by_component') WITH ORDINALITY AS v (value, n)
 WHERE model = 'states' ORDER BY n;
SELECT term, round(estimate::numeric, 5) AS loading FROM mlops_coefficients('states/1') WHERE output = 'component 1';

-- the largest loading of each component is positive; loadings are of length 1 and at right angles
SELECT count(*) AS components, bool_and(sign = 1) AS positive, bool_and(abs(length - 1) < 1e-12) AS of_length_1
  FROM (SELECT output, (array_agg(sign(estimate) ORDER BY abs(estimate) DESC))[1] AS sign, sum(estimate ^ 2) AS length
          FROM mlops_coefficients('states/1') GROUP BY output) AS c;
SELECT max(abs(dot)) < 1e-12 AS at_right_angles
  FROM (SELECT sum(a.estimate * b.estimate) AS dot FROM mlops_coefficients('states/1') AS a
          JOIN mlops_coefficients('states/1') AS b ON a.term = b.term AND a.output < b.output GROUP BY a.output, b.output) AS d;

-- coordinates are uncorrelated, and vary as the components do; all components together lose nothing
SELECT abs(var_samp(t[1]) / (49.0 / 50) / 1.5748783 ^ 2 * (49.0 / 50) ^ 2 - 1) < 1e-6 AS first_varies,
       abs(corr(t[1], t[2])) < 1e-12 AS uncorrelated, abs(avg(t[1])) < 1e-12 AS centred
  FROM (SELECT mlops_transform('states/1', s) AS t FROM us_arrests AS s) AS c;
SELECT abs((training_metrics ->> 'explained_variance')::float8 - 1) < 1e-12 AS nothing_lost FROM mlops.version WHERE model = 'states';

-- a share of the variance: as many components as it takes; whitened coordinates have variance 1
SELECT mlops_train_now('states', 'us_arrests', algorithm => 'pca', params => '{"components": 0.8, "whiten": true}',
                       exclude => '{state}', holdout => 0) AS version;
SELECT facts -> 'components' AS components, round((facts ->> 'explained_variance')::numeric, 4) AS explained,
       abs((facts ->> 'explained_variance')::float8 - (training_metrics ->> 'explained_variance')::float8) < 1e-12 AS measured_alike
  FROM mlops.version WHERE model = 'states' AND version = 2;
SELECT abs(var_samp(t[1]) - 1) < 1e-12 AS first, abs(var_samp(t[2]) - 1) < 1e-12 AS second
  FROM (SELECT mlops_transform('states/2', s) AS t FROM us_arrests AS s) AS c;
SELECT feature, round(share::numeric, 2) AS share FROM mlops_importance('states/2') ORDER BY feature COLLATE "C";

-- in the units of the columns the largest column decides: 96.6 % of the variance is along assault
SELECT mlops_train_now('states', 'us_arrests', algorithm => 'pca', params => '{"components": 1, "standardise": false}',
                       exclude => '{state}', holdout => 0) AS version;
SELECT round((facts ->> 'explained_variance')::numeric, 4) AS explained FROM mlops.version WHERE model = 'states' AND version = 3;
SELECT term FROM mlops_coefficients('states/3') ORDER BY abs(estimate) DESC LIMIT 1;

-- a weight counts as that many rows, but for the one that the divisor has less
SELECT mlops_train_now('twice', 'SELECT murder, rape, 3 AS w FROM us_arrests', algorithm => 'pca', weight => 'w', holdout => 0) AS version;
SELECT mlops_train_now('twice', 'SELECT murder, rape FROM us_arrests', algorithm => 'pca', holdout => 0) AS version;
SELECT count(*), max(abs(a.estimate - b.estimate)) < 1e-12 AS same
  FROM mlops_coefficients('twice/1') AS a JOIN mlops_coefficients('twice/2') AS b USING (output, term);

-- more columns than rows: as many components as rows less one, by the products between rows
CREATE TABLE wide AS
SELECT i, array_agg(sin(i * j * 1.7) ORDER BY j) AS v FROM generate_series(1, 6) AS i, generate_series(1, 20) AS j GROUP BY i;
SELECT mlops_train_now('wide', 'SELECT v FROM wide', algorithm => 'pca', params => '{"components": 5, "standardise": false}', holdout => 0) AS version;
SELECT facts -> 'rank' AS rank, abs((training_metrics ->> 'explained_variance')::float8 - 1) < 1e-12 AS nothing_lost
  FROM mlops.version WHERE model = 'wide';

-- distances between rows stay what they were
SELECT max(abs(before - after)) < 1e-10 AS kept
  FROM (SELECT (SELECT sum((x - y) ^ 2) FROM unnest(a.v, b.v) AS u (x, y)) AS before,
               (SELECT sum((x - y) ^ 2) FROM unnest(mlops_transform('wide/1', a), mlops_transform('wide/1', b)) AS u (x, y)) AS after
          FROM wide AS a, wide AS b) AS d;

-- asked for more than there are: a warning says so
SELECT mlops_train_now('wide', 'SELECT v FROM wide', algorithm => 'pca', params => '{"components": 10}', holdout => 0) AS version;
SELECT warnings FROM mlops.version WHERE model = 'wide' AND version = 2;

-- the pass in SQL gives the same
SELECT max(abs(a.variance::float8 / b.variance::float8 - 1)) < 1e-10 AS as_in_memory
  FROM (SELECT mlops.pca(ARRAY[murder, assault, urban_pop, rape], 1, mlops.pass('pca', '{"components": 4}')) AS r FROM us_arrests) AS q
 CROSS JOIN LATERAL jsonb_array_elements_text(q.r -> 'variances') WITH ORDINALITY AS a (variance, n)
  JOIN (SELECT e.variance, e.n FROM mlops.version AS v,
               jsonb_array_elements_text(v.facts -> 'variance_by_component') WITH ORDINALITY AS e (variance, n)
         WHERE v.model = 'states' AND v.version = 1) AS b USING (n);

-- refused
CALL mlops_train('refused', 'us_arrests', algorithm => 'pca', params => '{"components": 2.5}', exclude => '{state}');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('refused', 'us_arrests', algorithm => 'pca', params => '{"components": 0}', exclude => '{state}');
CALL mlops_train('refused', 'SELECT murder FROM us_arrests LIMIT 1', algorithm => 'pca', holdout => 0);
SELECT mlops_predict_label('states/1', s) FROM us_arrests AS s LIMIT 1;

SELECT count(mlops_drop_model(m, force => true)::text) AS dropped FROM unnest(ARRAY['states', 'twice', 'wide']) AS m;
DROP SCHEMA pca_test CASCADE;
