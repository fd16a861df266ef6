-- Intervals and paired tests against published numbers: the code that judges
-- versions, on arrays.

CREATE SCHEMA interval_test;
SET search_path = interval_test;

-- n rows of which k are right
CREATE FUNCTION rows_right(k int, n int) RETURNS float8[] LANGUAGE sql AS
'SELECT array_agg((i <= k)::int::float8 ORDER BY i) FROM generate_series(1, n) AS i';
CREATE FUNCTION all_positive(n int) RETURNS float8[] LANGUAGE sql AS 'SELECT array_fill(1::float8, ARRAY[n])';

-- Shares: Wilson's interval, Newcombe 1998, "Two-sided confidence intervals for the
-- single proportion", Statistics in Medicine 17, table I, method 3.
SELECT k, n, round(low::numeric, 4) = published_low AS low_as_published, round(high::numeric, 4) = published_high AS high_as_published
  FROM (VALUES (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611), (1, 29, 0.0061, 0.1718))
       AS v (k, n, published_low, published_high),
       LATERAL mlops.interval_of(all_positive(n), rows_right(k, n), 'accuracy') ORDER BY n DESC;

-- precision and recall are shares of the rows that are in question; f1 is a
-- function of such a share, and its interval is that of the share
SELECT round(low::numeric, 4) AS low, round(high::numeric, 4) AS high
  FROM mlops.interval_of(all_positive(263) || array_fill(0::float8, ARRAY[500]), rows_right(81, 263) || array_fill(0::float8, ARRAY[500]), 'precision');
SELECT abs(f.low - 2 * w.low / (1 + w.low)) < 1e-12 AND abs(f.high - 2 * w.high / (1 + w.high)) < 1e-12 AS transformed
  FROM mlops.interval_of(all_positive(263), rows_right(81, 263), 'f1') AS f, mlops.interval_of(all_positive(263), rows_right(81, 263), 'accuracy') AS w;

-- The area under the ROC curve: 109 CT images in five ratings, Hanley & McNeil 1982,
-- Radiology 143, table I; DeLong's error and interval as Stata's manual has them for roctab.
CREATE TABLE rating AS
SELECT rating::float8 AS score, label::float8 FROM (VALUES (1, 0, 33), (2, 0, 6), (3, 0, 6), (4, 0, 11), (5, 0, 2),
       (1, 1, 3), (2, 1, 2), (3, 1, 2), (4, 1, 11), (5, 1, 33)) AS v (rating, label, n), generate_series(1, n);
SELECT round(value::numeric, 4) AS area, round(error::numeric, 4) AS error, round(low::numeric, 5) AS low, round(high::numeric, 5) AS high
  FROM (SELECT array_agg(score) AS scores, array_agg(label) AS labels FROM rating) AS r, LATERAL mlops.interval_of(scores, labels, 'roc_auc');

-- Ten scores of BigQuery's documentation (roc_auc_score), four rows of MADlib's (pred_metrics).
SELECT value FROM mlops.interval_of('{0.1,0.4,0.35,0.8,0.65,0.9,0.5,0.3,0.6,0.45}', '{0,0,1,1,0,1,0,1,1,1}', 'roc_auc');
SELECT metric, abs(value / published - 1) < 1e-12 AS as_published, low < value AND value < high AS inside
  FROM (VALUES ('mae', 13.825), ('rmse', sqrt(220.3525)), ('r2', 0.27992908844337694), ('mape', 0.294578793636013)) AS v (metric, published),
       LATERAL mlops.interval_of('{37.5,12.3,74.2,91.1}', '{53.1,34.2,65.4,82.1}', metric) ORDER BY 1;

-- A mean: the paired t test on Student's sleep data (Biometrika 6, 1908): t = 4.0621 with
-- 9 degrees of freedom, p = 0.002833, interval 0.7001 to 2.4599 of the mean difference.
SELECT round(abs(difference)::numeric, 4) AS difference, round(p_value::numeric, 6) AS p_value,
       round(-high::numeric, 4) AS low, round(-low::numeric, 4) AS high
  FROM mlops.difference_of('{10.7,8.4,9.8,8.8,9.9,13.4,13.7,10.8,10,12}', '{11.9,10.8,11.1,10.1,9.9,14.4,15.5,11.6,14.6,13.4}',
                           array_fill(0::float8, ARRAY[10]), 'mae');

-- Accuracy: McNemar's test. Approval in two surveys, Agresti 1990, Categorical Data
-- Analysis, p. 350: 794, 150, 86, 570; with Edwards' correction z = (150 - 86 - 1) / sqrt(236).
-- Few discordant rows: exact, 2 of 10 is 2 (1 + 10 + 45) / 1024.
CREATE FUNCTION paired(a int, b int, c int, d int) RETURNS TABLE (one float8[], two float8[], labels float8[]) LANGUAGE sql AS
'SELECT all_positive(a + b) || array_fill(0::float8, ARRAY[c + d]), all_positive(a) || array_fill(0::float8, ARRAY[b]) || all_positive(c) || array_fill(0::float8, ARRAY[d]), all_positive(a + b + c + d)';
SELECT round(difference::numeric, 4) AS difference, round(p_value::numeric, 7) AS p_value
  FROM paired(794, 150, 86, 570), LATERAL mlops.difference_of(one, two, labels, 'accuracy');
SELECT abs(p_value - 2 * 56 / 1024.0) < 1e-12 AS exact FROM paired(20, 8, 2, 5), LATERAL mlops.difference_of(one, two, labels, 'accuracy');

-- its interval: Newcombe 1998, Statistics in Medicine 17, 2635-2650, method 10
SELECT round(difference::numeric, 4) AS difference, round(low::numeric, 4) AS low, round(high::numeric, 4) AS high
  FROM paired(36, 12, 2, 0), LATERAL mlops.difference_of(one, two, labels, 'accuracy');

-- Weights: a row of weight 2 is one that stands for two, not two rows that were seen.
SELECT w.value = d.value AS same_value, w.high - w.low > d.high - d.low AS less_sure
  FROM mlops.interval_of(all_positive(100), rows_right(30, 100), 'accuracy', array_fill(2::float8, ARRAY[100])) AS w,
       mlops.interval_of(all_positive(200), rows_right(30, 100) || rows_right(30, 100), 'accuracy') AS d;

-- What is told by how many rows: 80 % power means (1.96 + 0.84)^2 times the variance.
SELECT abs(needed / (100 * (2.801585 / (difference / ((high - low) / 2 / 1.984217)))^2) - 1) < 0.01 AS as_defined
  FROM (SELECT array_agg(sin(i) ORDER BY i) AS one, array_agg(1.2 * sin(i) + 0.3 * cos(7 * i) ORDER BY i) AS two, array_agg(sin(i) + 0.2 * cos(3 * i) ORDER BY i) AS labels
          FROM generate_series(1, 100) AS i) AS s, LATERAL mlops.difference_of(one, two, labels, 'mae');

-- The same seed gives the same bootstrap; scores that are equal differ by nothing;
-- perfect scores are not certain; an extreme has no interval.
SELECT a = b AS same, a <> c AS other_seed
  FROM (SELECT array_agg((i * 7 % 101)::float8 / 101) AS s, array_agg((i * 7 % 101 + i % 40 > 80)::int::float8) AS l FROM generate_series(1, 100) AS i) AS r,
       LATERAL (SELECT mlops.interval_of(s, l, 'pr_auc', seed => 1) AS a, mlops.interval_of(s, l, 'pr_auc', seed => 1) AS b, mlops.interval_of(s, l, 'pr_auc', seed => 2) AS c) AS i;
SELECT difference, low, high, p_value, needed FROM mlops.difference_of('{0.1,0.9,0.4}', '{0.1,0.9,0.4}', '{0,1,1}', 'log_loss');
SELECT value, low < 1 AS not_certain, high FROM mlops.interval_of('{0.1,0.2,0.8,0.9}', '{0,0,1,1}', 'roc_auc');
SELECT value, low, high FROM mlops.interval_of('{1,2,3}', '{1,2,5}', 'max_error');
SELECT value, low, high FROM mlops.interval_of('{0.4}', '{1}', 'log_loss') WHERE low IS NULL;

-- refused
SELECT mlops.interval_of('{0.1,0.2}', '{1}', 'log_loss');
SELECT mlops.interval_of('{0.1,NULL}', '{1,0}', 'log_loss');
SELECT mlops.interval_of('{0.1}', '{1}', 'logloss');
SELECT mlops.interval_of('{0.1}', '{1}', 'silhouette');

SET client_min_messages = warning;
DROP SCHEMA interval_test CASCADE;
