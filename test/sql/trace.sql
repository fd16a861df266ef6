-- mlops_trace(): from the logged predictions of a key back to what made them: version, bundle, rules
-- that fired, threshold, checksum of the artifact, training data - and what came true.

CREATE SCHEMA trace_test;
SET search_path = trace_test;
\set SHOW_CONTEXT never
SET client_min_messages = error;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';

CREATE TABLE visit AS SELECT i AS id, i % 7 AS pages, (i * 5 % 13 + i % 7) > 8 AS bought FROM generate_series(1, 200) AS i;
SELECT mlops_train_now('traced', 'visit', 'bought', features => '{pages}', params => '{"l2": 1}') AS version;
SELECT mlops_train_now('traced', 'SELECT * FROM visit WHERE id > 100', 'bought', features => '{pages}', params => '{"l2": 1}') AS version;
SELECT mlops_create_rules('traced', '{"columns": {"pages": "int"}, "rules": [{"name": "never", "when": "pages > 100", "then": {"set": 0}},
                                      {"name": "few", "when": "pages < 2", "then": {"set": 0.1}},
                                      {"name": "none", "when": "pages < 1", "then": {"set": 0}}]}');
SELECT version FROM mlops_promote('traced', 1, threshold => 0.4);
SELECT count(*) FROM mlops_score('traced', 'SELECT * FROM visit WHERE id IN (7, 8, 9)', 'id');
SELECT version FROM mlops_promote('traced', 2, rules => 1, threshold => 0.6);
SELECT count(*) FROM mlops_score('traced', 'SELECT * FROM visit WHERE id IN (7, 8, 9)', 'id');
SELECT count(*) FROM mlops_score('traced/1', 'SELECT * FROM visit WHERE id = 7', 'id');

-- the rules of each set have names; without a rule set there are none that could fire
SELECT key, t.role, t.version, t.deployment, t.threshold, t.rules, t.fired, t.algorithm, t.source
  FROM (VALUES ('7'), ('8'), ('9')) AS k (key), mlops_trace('traced', key) AS t ORDER BY key, made_at;

-- and the checks that a row failed
SELECT mlops_create_rules('traced', '[{"name": "few", "when": "pages < 2", "then": {"set": 0.1}}]',
                          checks => '[{"name": "many", "check": "range", "column": "pages", "high": 5}, {"name": "some", "check": "range", "column": "pages", "low": 1}]');
SELECT version FROM mlops_promote('traced', 2, rules => 2, threshold => 0.6);
SELECT count(*) FROM mlops_score('traced', 'SELECT * FROM visit WHERE id IN (20, 21)', 'id');
SELECT key, t.rules, t.fired, t.checks_failed FROM (VALUES ('20'), ('21')) AS k (key), mlops_trace('traced', key) AS t ORDER BY key;
SELECT version FROM mlops_rollback('traced');

-- the artifact and the training data are those of the version, and its run
SELECT t.version, t.artifact = encode(v.sha256, 'hex') AS artifact, t.data_fingerprint = encode(v.data_fingerprint, 'hex') AS data,
       t.rows_training = v.rows_training AS rows, t.trained_at = v.trained_at AS at, t.run = r.run AS run, r.status
  FROM mlops_trace('traced', 8) AS t JOIN mlops.version AS v ON v.model = 'traced' AND v.version = t.version
  LEFT JOIN mlops.run AS r ON r.run = t.run ORDER BY t.made_at;

-- what came true belongs to the last prediction before it; of several what the policy counts
SELECT max(made_at) + interval '1 hour' AS later FROM mlops_trace('traced', 9) \gset
SELECT mlops_record_outcome('traced', 9, 'true', timestamptz :'later', annotator => 'ann'),
       mlops_record_outcome('traced', 9, 'true', timestamptz :'later' + interval '1 hour', annotator => 'ben'),
       mlops_record_outcome('traced', 9, 'false', timestamptz :'later' + interval '2 hours', annotator => 'cid');
SELECT version, outcome, outcome_at - :'later' AS after FROM mlops_trace('traced', 9) ORDER BY made_at;
SELECT mlops_set_model('traced', '{"outcome_policy": "first"}');
SELECT version, outcome, outcome_at - :'later' AS after FROM mlops_trace('traced', 9) ORDER BY made_at;
SELECT mlops_set_model('traced', '{"outcome_policy": "majority"}');
SELECT version, outcome, outcome_at - :'later' AS after FROM mlops_trace('traced', 9) ORDER BY made_at;

-- at a moment: the newest prediction by then, in each role
SELECT min(made_at) AS first, max(made_at) AS last FROM mlops_trace('traced', 8) \gset
SELECT version FROM mlops_trace('traced', 8, :'first');
SELECT version FROM mlops_trace('traced', 8, timestamptz :'last' - interval '1 microsecond');
SELECT version FROM mlops_trace('traced', 8, :'last');
SELECT count(*) FROM mlops_trace('traced', 8, timestamptz :'first' - interval '1 microsecond');

-- keys of other types; a long one is in the log by its checksum
SELECT count(*) FROM mlops_score('traced', $$SELECT pages, repeat('k', 300) AS key FROM visit WHERE id = 3$$, 'key');
SELECT count(*) FROM mlops_score('traced', $$SELECT pages, '8a1d7f6e-0000-4000-8000-000000000001'::uuid AS key FROM visit WHERE id = 3$$, 'key');
SELECT version FROM mlops_trace('traced', repeat('k', 300));
SELECT version FROM mlops_trace('traced', uuid '8a1d7f6e-0000-4000-8000-000000000001');
SELECT count(*) FROM mlops_trace('traced', 'nobody');

-- a dropped version has left its number, and its checksum in mlops.dropped_version
SELECT version FROM mlops_promote('traced', 2, rules => 0);
SELECT mlops_train_now('traced', 'visit', 'bought', features => '{pages}', params => '{"l2": 2}') AS version;
SELECT count(*) FROM mlops_score('traced/3', 'SELECT * FROM visit WHERE id = 5', 'id');
SELECT mlops_drop_version('traced', 3);
SELECT t.version, t.role, t.artifact = encode(g.sha256, 'hex') AS artifact, t.source FROM mlops_trace('traced', 5) AS t JOIN mlops.dropped_version AS g ON g.model = 'traced';

-- A rule, a hard check and a canary may have another version answer: rules, checks and deployment are those of the bundle that
-- the row went to, whatever that version served with at another time (version 1: threshold 0.4 and no rules); the threshold of
-- what a rule or the fallback answers is the version's own, which has none: 0.5.
SELECT mlops_set_alias('traced', 'fallback', 1);
SELECT mlops_create_rules('traced', '{"columns": {"pages": "int"}, "rules": [{"name": "all", "when": "pages >= 0", "then": {"clip": [0, 1]}},
                                      {"name": "elsewhere", "when": "pages = 3", "then": {"use": 1}}]}',
                          checks => '[{"name": "many", "check": "range", "column": "pages", "high": 5, "severity": "hard"}]');
SELECT version FROM mlops_promote('traced', 2, rules => 3, threshold => 0.6);
SELECT count(*) FROM mlops_score('traced', 'SELECT id + 1000 AS id, pages FROM visit WHERE id IN (2, 3, 6)', 'id');
SELECT count(*) FROM mlops_score('traced@fallback', 'SELECT id + 1000 AS id, pages FROM visit WHERE id = 4', 'id');
SELECT count(*) FROM mlops_score('traced/1', 'SELECT id + 1000 AS id, pages FROM visit WHERE id = 5', 'id');
SELECT key, t.role, t.version, t.deployment, t.threshold, t.rules, t.fired, t.checks_failed
  FROM generate_series(1002, 1006) AS k (key), mlops_trace('traced', key) AS t ORDER BY key;
SELECT mlops_train_now('traced', 'visit', 'bought', features => '{pages}', params => '{"l2": 2}') AS version;
SELECT version, share FROM mlops_promote('traced', 4, share => 0.5, rules => 1, threshold => 0.7, force => true, reason => 'half of them');
SELECT count(*) FROM mlops_score('traced', 'SELECT id + 2000 AS id, pages FROM visit WHERE id < 40', 'id');
SELECT t.role, t.version, t.deployment, t.threshold, t.rules, count(*) > 0 AS some, array_agg(DISTINCT f.name ORDER BY f.name) AS fired
  FROM generate_series(2001, 2039) AS k (key), mlops_trace('traced', key) AS t LEFT JOIN LATERAL unnest(t.fired) AS f (name) ON true
 GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2;
SELECT version FROM mlops_rollback('traced');
-- live quality by deployment has the same rules
SELECT role, version, deployment, rules, predictions FROM mlops_performance_by_deployment('traced', as_of => now() + interval '1 hour') WHERE deployment > 5 ORDER BY deployment, version;

-- What is refused
SELECT * FROM mlops_trace('trace', 7);
\echo :LAST_ERROR_SQLSTATE
CREATE ROLE regress_ml_trace;
SELECT mlops_grant('traced', 'regress_ml_trace', 'predict');
SET ROLE regress_ml_trace;
SELECT * FROM mlops_trace('traced', 7);
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT mlops_revoke('traced', 'regress_ml_trace', 'predict');
DROP ROLE regress_ml_trace;

SELECT mlops_drop_model('traced', force => true);
DROP SCHEMA trace_test CASCADE;
