-- A training keeps what its rows looked like, column by column, and what the model says of rows
-- that it was not fitted on: mlops.training_profile.

CREATE SCHEMA training_profile_test;
SET search_path = training_profile_test;
SET client_min_messages = error;
CREATE TABLE customer AS
SELECT i AS id, CASE WHEN i % 10 > 0 THEN (i * 7919 % 1009) / 10.0 END AS used, i % 3 = 0 AS member,
       CASE WHEN i % 2 = 0 AND i <= 10 THEN 'p' || i ELSE (ARRAY['basic', 'pro', NULL, 'basic'])[1 + i % 4] END AS plan,
       timestamptz '2026-01-01 00:00 UTC' + i * interval '1 hour' AS joined, ARRAY[3 * (i % 5), 4 * (i % 5)]::float8[] AS place,
       (i * 7919 % 1009 > 500) <> (i * 31 % 7 = 0) AS churned
  FROM generate_series(1, 2000) AS i;
SELECT mlops_train_now('profiled', 'customer', 'churned', exclude => '{id}', params => '{"l2": 1}', holdout => 0);

-- One row for each column, for the target, and for the prediction. Times are seconds, arrays are their
-- norm, booleans 0 and 1.
SELECT role, feature, kind, rows, missing, round(minimum::numeric, 3) AS minimum, round(maximum::numeric, 3) AS maximum, round(mean::numeric, 3) AS mean
  FROM mlops.training_profile WHERE model = 'profiled' AND role <> 'prediction' ORDER BY role, feature;
SELECT kind, rows, missing, minimum >= 0 AND maximum <= 1 AS is_probability FROM mlops.training_profile WHERE model = 'profiled' AND role = 'prediction';

-- Moments and deciles are those of SQL.
SELECT p.missing = count(*) FILTER (WHERE used IS NULL) AS missing, p.minimum = min(used) AND p.maximum = max(used) AS ends,
       abs(p.mean / avg(used)::float8 - 1) < 1e-12 AND abs(p.deviation / stddev_samp(used::float8) - 1) < 1e-12 AS moments,
       p.edge = percentile_cont(ARRAY[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]) WITHIN GROUP (ORDER BY used::float8) AS deciles
  FROM customer, mlops.training_profile AS p WHERE p.model = 'profiled' AND p.feature = 'used' GROUP BY p.*, p.missing, p.minimum, p.maximum, p.mean, p.deviation, p.edge;

-- The rows between deciles, the rows up to each knot, and the rows in bins of equal width are counts. A value on
-- a decile belongs below it; a bin has its lower end.
SELECT p.edge_rows = ARRAY(SELECT (SELECT count(*) FROM customer AS c WHERE used IS NOT NULL AND (SELECT count(*) FROM unnest(p.edge) AS e WHERE e < c.used) = b)
                             FROM generate_series(0, 9) AS b) AS between_deciles,
       (SELECT bool_and(upto = (SELECT count(*) FROM customer AS c WHERE c.used <= knot)
                        AND equal = (SELECT count(*) FROM customer AS c WHERE c.used = knot)) FROM unnest(p.knot, p.knot_upto, p.knot_equal) AS u (knot, upto, equal)) AS knots,
       p.bin_rows = ARRAY(SELECT (SELECT count(*) FROM customer AS c WHERE used IS NOT NULL AND CASE WHEN c.used < p.bin_low THEN 0 WHEN c.used > p.bin_high THEN 65
                                         ELSE least(1 + floor((c.used - p.bin_low) * (64 / (p.bin_high - p.bin_low))), 64) END = b)
                            FROM generate_series(0, 65) AS b) AS bins
  FROM mlops.training_profile AS p WHERE p.model = 'profiled' AND p.feature = 'used';

-- Between two knots there are fewer than one value in 256: what the distribution is not known by.
SELECT max(upto - equal - before) < 1800 / 256.0 AS narrow, count(*) BETWEEN 200 AND 257 AS knots, min(k) = min(minimum) AND max(k) = max(maximum) AS ends
  FROM mlops.training_profile, LATERAL (SELECT *, lag(u, 1, 0::bigint) OVER (ORDER BY k) AS before, u AS upto FROM unnest(knot, knot_upto, knot_equal) AS x (k, u, equal)) AS y
 WHERE model = 'profiled' AND feature = 'used';

-- An outlier does not put all other values into one bin.
SELECT mlops_train_now('profiled', 'SELECT CASE WHEN id = 1 THEN 1e9 ELSE used END AS used, churned FROM customer', 'churned', algorithm => 'baseline', holdout => 0);
SELECT bin_high < 200 AS narrow, bin_rows[66] AS above, (SELECT count(*) FROM unnest(bin_rows) AS b WHERE b > 0) > 40 AS spread, maximum
  FROM mlops.training_profile WHERE model = 'profiled' AND version = 2 AND feature = 'used';

-- Levels that fewer than min_category_rows rows have are not told, only counted.
SELECT level, level_rows, other_rows, other_levels FROM mlops.training_profile WHERE model = 'profiled' AND version = 1 AND feature = 'plan';

-- A training by queries has the same profile.
SELECT mlops_train_now('profiled', 'customer', 'churned', exclude => '{id}', params => '{"l2": 1}', holdout => 0, options => '{"engine": "sql"}');
SELECT bool_and(a.rows = b.rows AND a.missing = b.missing AND a.edge IS NOT DISTINCT FROM b.edge AND a.bin_rows IS NOT DISTINCT FROM b.bin_rows
                AND a.level IS NOT DISTINCT FROM b.level AND a.level_rows IS NOT DISTINCT FROM b.level_rows) AS same, count(*)
  FROM mlops.training_profile AS a JOIN mlops.training_profile AS b USING (model, role, feature)
 WHERE model = 'profiled' AND a.version = 1 AND b.version = 3 AND role <> 'prediction';

-- Predictions are those of held-out rows, where there are enough of them: rows - of a refit, too - that the measured model had not seen.
SELECT mlops_train_now('profiled', 'customer', 'churned', exclude => '{id}', params => '{"l2": 1}', options => '{"refit": true}');
SELECT p.role, p.rows = CASE p.role WHEN 'prediction' THEN v.rows_holdout ELSE v.rows_used END AS as_said
  FROM mlops.training_profile AS p JOIN mlops.version AS v USING (model, version) WHERE model = 'profiled' AND version = 4 AND p.feature IN ('used', 'churned', 'prediction') ORDER BY 1;

-- Several classes and clusters are categories; what only transforms rows predicts nothing.
SELECT mlops_train_now('profiled_plan', 'SELECT used, id % 7 AS seventh, CASE WHEN id % 3 = 0 THEN ''free'' ELSE plan END AS plan FROM customer WHERE id > 10 AND plan IS NOT NULL', 'plan', holdout => 0);
SELECT mlops_train_now('profiled_cluster', 'SELECT used, member FROM customer', algorithm => 'kmeans', params => '{"k": 2}', holdout => 0);
SELECT mlops_train_now('profiled_pca', 'SELECT used, id FROM customer', algorithm => 'pca', params => '{"components": 1}', holdout => 0);
SELECT model, kind, (SELECT array_agg(l ORDER BY l) FROM unnest(level) AS l) AS level FROM mlops.training_profile
 WHERE model LIKE 'profiled_%' AND role = 'prediction' ORDER BY model COLLATE "C";

-- With an encoder, or sub-models of groups, it is the columns of the source all the same.
SELECT mlops_train_now('profiled_encoded', 'SELECT used, id, churned FROM customer', 'churned', params => '{"encoder": "profiled_pca/1"}', holdout => 0);
SELECT mlops_train_now('profiled_groups', 'SELECT used, member, churned FROM customer', 'churned', params => '{}', group_by => 'member', holdout => 0);
SELECT model, role, feature FROM mlops.training_profile WHERE model IN ('profiled_encoded', 'profiled_groups') ORDER BY 1, 2, 3;

-- It goes with its version, and is for those who may read the model.
SELECT mlops_drop_version('profiled', 3);
SELECT array_agg(DISTINCT version ORDER BY version) AS versions FROM mlops.training_profile WHERE model = 'profiled';
CREATE ROLE profile_stranger;
SET ROLE profile_stranger;
SELECT count(*) FROM mlops.training_profile;
SELECT count(*) FROM mlops_catalog.training_profile;
RESET ROLE;
SELECT mlops_drop_model(m) FROM unnest(ARRAY['profiled', 'profiled_plan', 'profiled_cluster', 'profiled_encoded', 'profiled_pca', 'profiled_groups']) AS m;
SELECT count(*) FROM mlops_catalog.training_profile WHERE model LIKE 'profiled%';
DROP ROLE profile_stranger;
DROP SCHEMA training_profile_test CASCADE;
