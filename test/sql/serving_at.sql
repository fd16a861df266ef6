-- mlops_serving_at(): the bundle that served at a moment: version, threshold, rules, the canary beside
-- it, and by whose decision. mlops_performance_by_deployment(): live quality under what served then.
-- The history is moved to given times, so that nothing depends on the clock.

CREATE SCHEMA serving_at_test;
SET search_path = serving_at_test;
\set SHOW_CONTEXT never
SET client_min_messages = error;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';

CREATE TABLE visit AS SELECT i AS id, i % 7 AS pages, (i * 5 % 13 + i % 7) > 8 AS bought FROM generate_series(1, 200) AS i;
SELECT mlops_train_now('then', 'visit', 'bought', features => '{pages}', params => '{"l2": 1}', seed => i) AS version FROM generate_series(1, 3) AS i;
SELECT mlops_create_rules('then', '[{"name": "few", "when": "pages < 1", "then": {"set": 0}}]');

-- before anything served there is no row
SELECT count(*) FROM mlops_serving_at('then', '2026-01-01');

SELECT version FROM mlops_promote('then', 1, threshold => 0.4, reason => 'the first');
SELECT version FROM mlops_promote('then', 2, rules => 1);
SELECT version FROM mlops_promote('then', 3, rules => 0, reason => 'better');
SELECT version FROM mlops_rollback('then', reason => 'it was not');
SELECT version, share FROM mlops_promote('then', 3, share => 0.1, threshold => 0.7, force => true, reason => 'once more');
SELECT version, share FROM mlops_promote('then', 3, share => 0.3, threshold => 0.7, force => true, reason => 'so far so good');
SELECT version, share FROM mlops_rollback('then', reason => 'no good');
UPDATE mlops_catalog.deployment SET deployed_at = timestamptz '2026-01-01' + number * interval '1 month' WHERE model = 'then';
UPDATE mlops_catalog.model SET created_at = '2026-01-01' WHERE name = 'then';

CREATE VIEW asked AS SELECT at::timestamptz FROM (VALUES ('2026-01-31'), ('2026-02-01'), ('2026-03-15'), ('2026-04-15'), ('2026-05-15')) AS m (at);
SELECT at::date AS at, s.version, s.threshold, s.rules, s.deployment, s.since::date AS since, s.until::date AS until, s.deployed_by = current_user AS mine, s.reason
  FROM asked LEFT JOIN LATERAL mlops_serving_at('then', at) AS s ON true ORDER BY at;

-- a canary is a deployment with a share: what was active goes on beside it, with its threshold and rules, until it ends
SELECT at::date AS at, s.version, s.threshold, s.rules, s.canary_version, s.canary_share, s.deployment
  FROM (VALUES (timestamptz '2026-06-15'), ('2026-07-15'), ('2026-08-15')) AS m (at), mlops_serving_at('then', at) AS s ORDER BY at;

-- live quality by stretch of serving: of 20 calls under each, 15, 10 and 18 were right; pinned calls served nobody
INSERT INTO mlops_catalog.prediction (at, model, version, role, deployment, key, prediction, label)
SELECT timestamptz '2026-01-15' + d * interval '1 month', 'then', v, CASE WHEN d IS NULL THEN 'pinned' ELSE 'active' END, d, d || '/' || i, 0.9, 'true'
  FROM (VALUES (1, 1), (2, 2), (3, 3)) AS s (d, v), generate_series(1, 20) AS i;
SELECT count(mlops_record_outcome('then', d || '/' || i, (i <= good)::text, timestamptz '2026-01-16' + d * interval '1 month'))
  FROM (VALUES (1, 15), (2, 10), (3, 18)) AS s (d, good), generate_series(1, 20) AS i;
SELECT mlops_set_model('then', '{"metric": "accuracy"}');
SELECT deployment, role, version, rules, since::date, until::date, metric, value, n, coverage,
       round(low::numeric, 3) AS low, round(high::numeric, 3) AS high
  FROM mlops_performance_by_deployment('then', as_of => '2026-10-01');
-- beside the canary what was active went on
INSERT INTO mlops_catalog.prediction (at, model, version, role, deployment, key, prediction, label)
SELECT '2026-06-10', 'then', v, r, d, d || '/' || i, 0.9, 'true'
  FROM (VALUES (4, 2, 'active'), (5, 3, 'canary')) AS s (d, v, r), generate_series(1, 20) AS i;
SELECT count(mlops_record_outcome('then', d || '/' || i, (i <= 4 * d - 4)::text, '2026-06-11')) FROM generate_series(4, 5) AS d, generate_series(1, 20) AS i;
SELECT deployment, role, version, rules, since::date, until::date, value, n FROM mlops_performance_by_deployment('then', as_of => '2026-10-01') WHERE deployment > 3;
-- as it was known then: outcomes that came later do not count
SELECT deployment, value, n, predictions FROM mlops_performance_by_deployment('then', as_of => '2026-03-15');

-- What is refused
SELECT * FROM mlops_serving_at('than', '2026-01-01');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM mlops_performance_by_deployment('then', '0 days');
SELECT * FROM mlops_performance_by_deployment('then', as_of => 'infinity');
CREATE ROLE regress_ml_then;
SET ROLE regress_ml_then;
SELECT * FROM mlops_serving_at('then', '2026-04-15');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM mlops_performance_by_deployment('then');
RESET ROLE;
DROP ROLE regress_ml_then;

SELECT mlops_drop_model('then', force => true);
DROP SCHEMA serving_at_test CASCADE;
