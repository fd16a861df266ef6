-- Metrics of the order of scores are exact, whatever the number of rows and however
-- little memory there is. Their states are exact up to a million different scores;
-- above that they say how far off they can be.

CREATE SCHEMA metric_ranks_test;
SET search_path = metric_ranks_test;
SET client_min_messages = warning;

-- P33: roc_curve and roc_auc_score of BigQuery DataFrames' tests; the largest distance of the curve from its diagonal is
-- the two-sample Kolmogorov-Smirnov statistic
CREATE TABLE ten (label boolean, score float8);
INSERT INTO ten SELECT y = 1, s FROM unnest(ARRAY[0,0,1,1,0,1,0,1,1,1], ARRAY[0.1,0.4,0.35,0.8,0.65,0.9,0.5,0.3,0.6,0.45]) AS t (y, s);
SELECT mlops_roc_auc(score, label) AS roc_auc,
       abs(mlops_ks(score, label) - (SELECT max(abs(tpr - fpr)) FROM unnest(
           '{0,0,0,0.25,0.25,0.5,0.5,0.75,0.75,0.75,1}'::float8[],
           '{0,0.16666667,0.33333333,0.33333333,0.5,0.5,0.66666667,0.66666667,0.83333333,1,1}'::float8[]) AS t (fpr, tpr))) < 1e-8 AS ks
  FROM ten;

-- ties: a tie is half a pair; of a group at the border of a share the same share is taken
SELECT mlops_roc_auc(1, i % 2 = 0) AS all_tie, mlops_pr_auc(1, i % 2 = 0) AS share_of_positives, mlops_ks(1, i % 2 = 0) AS no_distance,
       mlops_lift(1, i % 2 = 0, 0.3) AS no_lift, mlops_gain(1, i % 2 = 0, 0.3) AS gain_is_share
  FROM generate_series(1, 10) AS i;
SELECT round(mlops_gain(score, label, 0.5)::numeric, 4) AS gain, round(mlops_lift(score, label, 0.5)::numeric, 4) AS lift,
       mlops_gain(score, label, 1) AS all_of_them, mlops_gain(score, label, 0) AS none, mlops_lift(score, label, 0) AS lift_of_none
  FROM (VALUES (4, true), (3, true), (2, false), (1, true)) AS t (score, label);
-- infinite scores are scores, and one zero is the other
SELECT mlops_roc_auc(s, y) AS perfect FROM (VALUES ('infinity'::float8, true), (1, true), (0, false), ('-infinity', false)) AS t (s, y);
SELECT mlops_roc_auc(s, y) AS half FROM (VALUES (0.0::float8, true), ('-0'::float8, false)) AS t (s, y);

-- with and without weights, in memory and on disk: the same, and that of the definition
CREATE TABLE scored AS
SELECT i, round((i * 7919 % 1009) / 1009.0 + 0.2 * (i % 4 = 0)::int, 2)::float8 AS score, i % 4 = 0 AS label, 1 + i % 3 AS weight
  FROM generate_series(1, 1500) AS i;
SELECT abs(mlops_roc_auc(score, label, weight)
           - (SELECT sum(p.weight * n.weight * CASE WHEN p.score > n.score THEN 1 WHEN p.score = n.score THEN 0.5 ELSE 0 END) / sum(p.weight * n.weight)
                FROM scored AS p, scored AS n WHERE p.label AND NOT n.label)) < 1e-12 AS as_defined
  FROM scored;
SET work_mem = '64kB';
SELECT abs(mlops_roc_auc(score, label) - (SELECT mlops_roc_auc(score, label) FROM scored)) < 1e-12 AS roc_auc,
       abs(mlops_pr_auc(score, label, weight) - (SELECT mlops_pr_auc(score, label, weight) FROM scored)) < 1e-12 AS pr_auc,
       abs(mlops_median_absolute_error(score, 0) - (SELECT mlops_median_absolute_error(score, 0) FROM scored)) < 1e-12 AS median
  FROM scored, generate_series(1, 40);
RESET work_mem;
SELECT count(*) AS groups, bool_and(abs(exact - (state ->> 'value')::float8) < 1e-12) AS same, bool_and(state ->> 'low' = state ->> 'high') AS exact
  FROM (SELECT i % 7, mlops_ks(score, label, weight) AS exact, mlops.final(mlops_ks_state(score, label, weight)) AS state FROM scored GROUP BY i % 7) AS g;

-- the median of errors: of an even number of rows the middle of two; by weight
SELECT mlops_median_absolute_error(0, e) AS odd FROM unnest(ARRAY[1, 5, 2]::float8[]) AS e;
SELECT mlops_median_absolute_error(0, e) AS even, mlops.final(mlops_median_absolute_error_state(0, e)) -> 'value' AS state FROM unnest(ARRAY[1, 5, 2, 4]::float8[]) AS e;
SELECT mlops_median_absolute_error(0, e, w) AS weighted FROM unnest(ARRAY[1, 5, 2]::float8[], ARRAY[1, 5, 1]::float8[]) AS t (e, w);

-- ---- more scores than a state keeps ----

-- Some more than a million different scores, in three states that are merged: 65,536 bins
CREATE TABLE many AS
SELECT i % 3 AS part, (i * 7919::bigint % 1200007) / 1200007.0::float8 AS score,
       (i * 104729::bigint % 1000003) / 1000003.0 < (i * 7919::bigint % 1200007) / 1200007.0 AS label
  FROM generate_series(1, 1020000) AS i;
CREATE TABLE kept AS
SELECT part, mlops_roc_auc_state(score, label) AS roc_auc FROM many GROUP BY part;
SELECT exact BETWEEN low AND high AS within_bounds, high > low AND high - low < 1e-4 AS bounds_are_near, rows
  FROM (SELECT mlops_roc_auc(score, label) AS exact FROM many) AS e, (SELECT mlops.final(mlops.merge(roc_auc)) AS f FROM kept) AS k,
       LATERAL (SELECT (f ->> 'low')::float8 AS low, (f ->> 'high')::float8 AS high, (f ->> 'rows')::int AS rows) AS b;
-- a third of them is exact, and so is its state
SELECT f ->> 'low' = f ->> 'high' AS exact, abs((f ->> 'value')::float8 - a) < 1e-12 AS same
  FROM (SELECT mlops.final(mlops_roc_auc_state(score, label)) AS f, mlops_roc_auc(score, label) AS a FROM many WHERE part = 0) AS s;
SELECT length(mlops.merge(roc_auc)::text) < 2 * (65536 * 25 + 100) AS bins_only FROM kept;

-- ---- refused ----
SELECT mlops_roc_auc(score, label, -weight) FROM scored;
SELECT mlops_lift(score, label, 1.5) FROM scored;
SELECT mlops_lift(score, label, NULL) FROM scored;
SELECT mlops_lift(score, label, i / 10000.0) FROM scored;
-- a sort can be walked down once
SELECT mlops_roc_auc(score, label) OVER () FROM scored;

DROP SCHEMA metric_ranks_test CASCADE;
