-- A search tries many candidates on samples that grow, drops the weak ones
-- early, and trains a version of the best.

SET client_min_messages = warning;

CREATE TABLE search_visit AS
SELECT i AS visit, (i * 7919 % 1000) / 1000.0 AS age, (i * 104729 % 1009) / 1009.0 AS noise,
       CASE i % 3 WHEN 0 THEN 'basic' WHEN 1 THEN 'plus' ELSE 'pro' END AS plan,
       (i * 7919 % 1000) / 1000.0 + CASE i % 3 WHEN 0 THEN 0.3 ELSE 0 END + (i * 31337 % 1013) / 1013.0 > 1.1 AS bought
  FROM generate_series(1, 6000) AS i;

-- ranges, choices, lists of features; of three candidates one goes on, with three times the rows
CALL mlops_search('search_bought', source => 'search_visit', target => 'bought', key => 'visit',
                  space => '[{"algorithm": "logistic_regression",
                              "params": {"l2": {"low": 0.01, "high": 10000, "scale": "log"}},
                              "features": [["noise"], ["age", "noise"], ["age", "plan"]]},
                             {"algorithm": "baseline"}]',
                  budget => '{"candidates": 9, "first_rows": 500}',
                  search => NULL) \gset search_

-- a row for the search, one for each candidate: what it was, how far it came, why it went
SELECT status, count(*), max(rung) AS last_rung, min(rows) AS least_rows, max(rows) > 3000 AS saw_all
  FROM mlops.run WHERE search = :'search_search' AND candidate IS NOT NULL
 GROUP BY status ORDER BY status COLLATE "C";
SELECT regexp_replace(message, '0\.\d+', 'X') AS message FROM mlops.run
 WHERE search = :'search_search' AND algorithm = 'baseline';
SELECT status, version, message ~ '^candidate \d is the best: roc_auc 0\.\d+$' AS verdict FROM mlops.run
 WHERE run = search AND model = 'search_bought';

-- the best is a version like any other: fitted again on all rows, after it was measured on held-out ones
SELECT version, algorithm, spec -> 'features' AS features, (spec -> 'options' -> 'refit')::boolean AS refit,
       (holdout_metrics ->> 'roc_auc')::float8 > 0.8 AS good
  FROM mlops.version WHERE model = 'search_bought';
CALL mlops_reproduce('search_bought/1');

-- the grid: every combination of the choices
CALL mlops_search('search_grid', source => 'search_visit', target => 'bought', exclude => ARRAY['visit'],
                  space => '{"algorithm": "logistic_regression", "params": {"l2": [0, 1, 1000], "impute": ["mean", "median"]}}',
                  budget => '{"method": "grid", "folds": 2}', metric => 'log_loss') \gset grid_
SELECT candidate, spec -> 'params' AS params, metric, rung FROM mlops.run
 WHERE search = :'grid_search' AND candidate IS NOT NULL ORDER BY candidate;

-- the order of time: each part is predicted from what came before it
CALL mlops_search('search_time', source => 'search_visit', target => 'bought', time_column => 'visit',
                  space => '{"algorithm": ["baseline", "logistic_regression"]}',
                  budget => '{"folds": 4}') \gset time_
SELECT algorithm FROM mlops.version WHERE model = 'search_time';

-- the spec of what serves tells the source, the target and the features
SELECT version FROM mlops_promote('search_grid', 1);
CALL mlops_search('search_grid', space => '{"algorithm": "logistic_regression", "params": {"l2": [2, 3]}}') \gset again_
SELECT :again_version AS version;

-- a small table has small samples, too: a 27th of the training rows, but at least 200
CALL mlops_search('search_small', source => 'SELECT * FROM search_visit WHERE visit <= 3000', target => 'bought', exclude => '{visit}',
                  space => '{"algorithm": "logistic_regression", "params": {"l2": {"low": 0.01, "high": 1000, "scale": "log"}}}') \gset small_
SELECT rung, count(*) AS candidates, min(rows) < 700 AS small, min(rows) < 200 AS too_small FROM mlops.run
 WHERE search = :'small_search' AND candidate IS NOT NULL GROUP BY rung ORDER BY rung;

-- without a target: clusters are judged by how far apart they are, since the more there are the nearer is one, or by the metric named
CREATE TABLE search_shop AS
SELECT i % 4 / 2 * 10 + sin(i) AS x, i % 2 * 10 + cos(i) AS y FROM generate_series(1, 900) AS i;
CALL mlops_search('search_shops', source => 'search_shop', space => '{"algorithm": "kmeans", "params": {"k": [2, 3, 4, 5, 6, 7]}}') \gset shops_
SELECT v.algorithm, v.params ->> 'k' AS k, r.metric, r.value > 0.8 AS well_apart
  FROM mlops.version AS v JOIN mlops.run AS r ON r.search = :'shops_search' AND r.spec -> 'params' -> 'k' = v.params -> 'k' AND candidate IS NOT NULL
 WHERE v.model = 'search_shops';
CALL mlops_search('search_shops', source => 'search_shop', metric => 'inertia') \gset
SELECT params ->> 'k' AS k FROM mlops.version WHERE model = 'search_shops' AND version = 2;
CALL mlops_search('search_space', source => 'search_shop', space => '{"algorithm": "pca", "params": {"components": [1, 2]}}') \gset
SELECT algorithm, params ->> 'components' AS components FROM mlops.version WHERE model = 'search_space';

-- a candidate that cannot be fitted is no reason to stop
CALL mlops_search('search_failed', source => $$SELECT *, bought AS leak FROM search_visit$$, target => 'bought',
                  space => '{"algorithm": "logistic_regression", "features": [["age"], ["leak"]]}') \gset failed_
SELECT status, message FROM mlops.run WHERE search = :'failed_search' AND candidate IS NOT NULL ORDER BY candidate;

-- nor is one that a small sample rules out dropped for it: a larger one decides
CALL mlops_search('search_sample', target => 'bought', exclude => '{visit}',
                  source => $$SELECT visit, age, noise, CASE WHEN visit % 50 = 0 THEN 'rare' ELSE 'usual' END AS kind,
                                     CASE WHEN visit % 50 = 0 THEN visit % 750 > 0 ELSE bought END AS bought FROM search_visit$$,
                  space => '{"algorithm": "logistic_regression", "params": {"l2": [0, 1, 2, 5, 10, 20, 50, 100, 200, 500]}}',
                  budget => '{"first_rows": 300}') \gset sample_
SELECT spec -> 'params' AS params, rung, rung_values[1] = 'NaN' AS first_sample_fails, value > 0.8 AS good
  FROM mlops.run WHERE search = :'sample_search' AND candidate IS NOT NULL AND spec #>> '{params,l2}' = '0';

-- a search that was interrupted goes on from what is known
SET statement_timeout = '250ms';
\set SHOW_CONTEXT never
CALL mlops_search('search_long', source => 'SELECT age, noise, plan, bought, n FROM search_visit, generate_series(1, 20) AS n',
                  target => 'bought',
                  space => '{"algorithm": "logistic_regression", "params": {"l2": {"low": 0.01, "high": 1000, "scale": "log"}}}');
RESET statement_timeout;
\set SHOW_CONTEXT errors
SELECT status FROM mlops.run WHERE model = 'search_long' AND run = search;
SELECT run AS interrupted FROM mlops.run WHERE model = 'search_long' AND run = search \gset
CALL mlops_search('search_long', search => :'interrupted') \gset
SELECT status, version FROM mlops.run WHERE run = :'interrupted';
SELECT count(*) = 30 AS all_tried, count(*) FILTER (WHERE status NOT IN ('dropped', 'finished')) AS open
  FROM mlops.run WHERE search = :'interrupted' AND candidate IS NOT NULL;

-- the time is up before anything was measured
\set VERBOSITY terse
CALL mlops_search('search_time', source => 'search_visit', target => 'bought', budget => '{"seconds": 1e-9}',
                  space => '{"algorithm": "logistic_regression"}');

-- inside a transaction everything is undone with it
BEGIN;
CALL mlops_search('search_gone', source => 'search_visit', target => 'bought',
                  space => '{"algorithm": "logistic_regression"}') \gset gone_
ROLLBACK;
SELECT count(*) FROM mlops.run WHERE search = :'gone_search';

-- what is refused, before anything is fitted
\set VERBOSITY terse
CALL mlops_search('search_no', source => 'search_visit', target => 'bought', space => '{"algorithm": "logistic_regresion"}');
\set VERBOSITY default
CALL mlops_search('search_no', source => 'search_visit', target => 'bought',
                  space => '{"algorithm": "logistic_regression", "l2": 1}');
CALL mlops_search('search_no', source => 'search_visit', target => 'bought',
                  space => '{"algorithm": "logistic_regression", "params": {"l2": {"low": 0, "high": 1, "scale": "log"}}}');
CALL mlops_search('search_no', source => 'search_visit', target => 'bought',
                  space => '{"algorithm": "logistic_regression", "features": [["age", "bought"]]}');
CALL mlops_search('search_no', source => 'search_visit', target => 'bought',
                  space => '{"algorithm": "logistic_regression", "params": {"l2": {"low": 0, "high": 1}}}',
                  budget => '{"method": "grid"}');
CALL mlops_search('search_no', source => 'search_visit', target => 'bought', space => '{"algorithm": "linear_regression"}',
                  metric => 'rmse');
CALL mlops_search('search_no', source => 'search_visit', target => 'bought', space => '[1]');
CALL mlops_search('search_no', source => 'search_visit', target => 'bought', budget => '{"candidate": 3}');
CALL mlops_search('search_no', source => 'search_visit', target => 'bought', metric => 'auc');
CALL mlops_search('search_no', source => 'search_shop', space => '{"algorithm": "isolation_forest"}');
CALL mlops_search('search_no', source => 'search_shop', space => '{"algorithm": ["kmeans", "pca"]}');
CALL mlops_search('search_no', source => 'search_shop', target => 'y', space => '{"algorithm": "kmeans"}');
CALL mlops_search('search_no', source => 'search_shop');
CALL mlops_search('search_space', source => 'search_shop');
CALL mlops_search('search_grid', search => '00000000-0000-0000-0000-000000000000');

SELECT count(mlops_drop_model(m, force => true)::text) > 0 AS dropped
  FROM unnest(ARRAY(SELECT model FROM mlops.model WHERE model LIKE 'search\_%')) AS m;
DROP TABLE search_visit, search_shop;
CALL mlops_search('search_grid', target => 'bought');
CALL mlops_search('search_grid', holdout => 0.5);
