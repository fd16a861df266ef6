-- An isolation forest gives every row a score from 0 to 1: rows that random
-- splits soon leave alone are unusual. Usual rows stay well below 0.5.

CREATE SCHEMA isolation_test;
SET search_path = isolation_test;
SET client_min_messages = warning;
CREATE TABLE readings AS
SELECT i AS id, sin(i * 1.1) + sin(i * 2.3) + sin(i * 3.7) + sin(i * 5.3) AS x,
       cos(i * 1.7) + cos(i * 2.9) + cos(i * 4.1) AS y,
       CASE WHEN i % 10 > 0 THEN sin(i * 6.1) + sin(i * 7.7) END AS z, 'sensor ' || i % 2 AS sensor
  FROM generate_series(1, 1000) AS i;
INSERT INTO readings VALUES (2001, 50, -50, 3, 'sensor 1'), (2002, -60, 40, NULL, 'sensor 0');

SELECT mlops_train_now('odd', 'readings', algorithm => 'isolation_forest', exclude => '{id}', holdout => 0) AS version;

-- the rows that were put in stand out; scores are from 0 to 1
SELECT id FROM readings AS r ORDER BY mlops_predict('odd/1', r) DESC LIMIT 2;
SELECT min(mlops_predict('odd/1', r)) > 0 AND max(mlops_predict('odd/1', r)) < 1 AS in_range,
       avg(mlops_predict('odd/1', r)) < 0.5 AS mostly_usual,
       (SELECT mlops_predict('odd/1', r) FROM readings AS r WHERE id = 2001) > 0.65 AS unusual
  FROM readings AS r;

-- facts say from where on a score is rare
SELECT facts -> 'trees' AS trees, facts -> 'sample_rows' AS sample_rows,
       (facts ->> 'mean_score')::float8 < (facts ->> 'score_95')::float8
       AND (facts ->> 'score_95')::float8 <= (facts ->> 'score_99')::float8
       AND (facts ->> 'score_99')::float8 <= (facts ->> 'largest_score')::float8 AS in_order
  FROM mlops.version WHERE model = 'odd';
SELECT count(*) BETWEEN 40 AND 62 AS about_5_percent
  FROM readings AS r, mlops.version AS v
 WHERE v.model = 'odd' AND mlops_predict('odd/1', r) > (v.facts ->> 'score_95')::float8;

-- a row at hand, missing values and unseen categories too
SELECT mlops_predict('odd/1', '{"x": 70, "y": 70, "z": null, "sensor": "never seen"}') > 0.6 AS unusual;

-- the same seed gives the same bytes, another seed others
SELECT mlops_train_now('odd', 'SELECT * FROM readings ORDER BY md5(id::text)', algorithm => 'isolation_forest', exclude => '{id}', holdout => 0) AS version;
SELECT mlops_train_now('odd', 'readings', algorithm => 'isolation_forest', exclude => '{id}', holdout => 0, seed => 7) AS version;
SELECT count(DISTINCT sha256) AS different FROM mlops.version WHERE model = 'odd' AND version < 3;
SELECT count(DISTINCT sha256) AS different FROM mlops.version WHERE model = 'odd';

-- with few rows each tree sees all of them; the depth has its limit: log2 of the sample
SELECT mlops_train_now('few', 'SELECT x FROM (VALUES (1.0), (1), (1), (1), (100)) AS v (x)', algorithm => 'isolation_forest',
                       params => '{"trees": 10}', holdout => 0) AS version;
SELECT facts -> 'sample_rows' AS sample_rows, facts -> 'nodes' AS nodes FROM mlops.version WHERE model = 'few';

-- by hand: every tree cuts 100 off at once, at depth 1, and leaves four equal rows at depth 1. With
-- c(n) = 2 (ln(n - 1) + 0.5772156649) - 2 (n - 1) / n the scores are 2^-(1 / c(5)) and 2^-((1 + c(4)) / c(5))
SELECT abs(mlops_predict('few/1', '{"x": 100}') - 2 ^ (-1 / c5)) < 1e-9 AS alone,
       abs(mlops_predict('few/1', '{"x": 1}') - 2 ^ (-(1 + c4) / c5)) < 1e-9 AS together
  FROM (SELECT 2 * (ln(4.0::float8) + 0.57721566490153286) - 2 * 4 / 5.0::float8 AS c5,
               2 * (ln(3.0::float8) + 0.57721566490153286) - 2 * 3 / 4.0::float8 AS c4) AS c;

-- weights are counts: a row of weight 500 is nothing unusual
SELECT mlops_train_now('weighted', 'SELECT x, y, CASE WHEN id > 2000 THEN 500 ELSE 1 END AS w FROM readings',
                       algorithm => 'isolation_forest', weight => 'w', params => '{"sample_rows": 32}', holdout => 0) AS version;
SELECT mlops_train_now('weighted', 'SELECT x, y FROM readings', algorithm => 'isolation_forest', params => '{"sample_rows": 32}', holdout => 0) AS version;
SELECT mlops_predict('weighted/1', r) < mlops_predict('weighted/2', r) AS less_unusual FROM readings AS r WHERE id = 2001;

-- importance: which columns single out few rows
SELECT feature FROM mlops_importance('odd/1') ORDER BY importance DESC LIMIT 1;

-- refused
CALL mlops_train('refused', 'readings', algorithm => 'isolation_forest', params => '{"sample_rows": 1}');
CALL mlops_train('refused', 'SELECT 1 AS x, id FROM readings LIMIT 1', algorithm => 'isolation_forest', holdout => 0);
SELECT mlops_predict_label('odd/1', r) FROM readings AS r LIMIT 1;
SELECT * FROM mlops_coefficients('odd/1');

SELECT count(mlops_drop_model(m, force => true)::text) AS dropped FROM unnest(ARRAY['odd', 'few', 'weighted']) AS m;
DROP SCHEMA isolation_test CASCADE;
