-- A version says how it came about: spec with everything filled in, columns,
-- rows read, used and skipped, fingerprints, time range, split, metrics beside
-- those of a constant, facts of the fit, durations, builds, and the checksum of
-- the bytes that score. What is finished is not changed any more.
CREATE SCHEMA lineage_test;
SET search_path = lineage_test, pg_catalog;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SET TimeZone = 'Europe/Berlin';
SET DateStyle = 'SQL, DMY';
CREATE TABLE visit AS
SELECT i AS id, CASE WHEN i % 10 > 0 THEN i % 7 END AS pages, i % 5 AS weight, sin(i) AS taste,
       CASE WHEN i % 50 > 0 THEN i * 5 % 13 + 4 * sin(i * 3) > 5 END AS bought,
       date '2025-01-31' + i AS day, timestamptz '2025-03-30 00:30:00+00' + i * interval '1 hour' AS at, i * 2.5 AS tick
  FROM generate_series(1, 1000) AS i;

CALL mlops_train('lineage', 'visit', 'bought', exclude => '{day}', key => 'id', time_column => 'at', weight => 'weight',
                 holdout => 0.25, seed => 7, params => '{"impute": "drop"}', options => '{"keep_rows": true}', note => 'all of it');

-- rows: read, used, left out and why, divided, kept
SELECT rows_read, rows_used, rows_skipped, rows_training + rows_holdout = rows_used AS adds_up,
       rows_read - rows_used = (SELECT sum(n::bigint) FROM jsonb_each_text(rows_skipped) AS s (why, n)) AS explained,
       rows_used = (SELECT count(*) FROM visit WHERE bought IS NOT NULL AND pages IS NOT NULL AND weight > 0) AS as_counted,
       rows_kept, (SELECT count(*) FROM mlops_rows('lineage/1')) AS kept
  FROM mlops.version WHERE model = 'lineage';

-- columns and their roles; the time range, written in the same way under any settings; a split by time
SELECT c ->> 'name' AS name, c ->> 'type' AS type, c ->> 'role' AS role
  FROM mlops.version, jsonb_array_elements(columns) AS c WHERE model = 'lineage';
SELECT time_from, time_to FROM mlops.version WHERE model = 'lineage';
SELECT split - 'from' AS split, abs(rows_holdout - 0.25 * rows_used) <= 1 AS a_quarter FROM mlops.version WHERE model = 'lineage';
SELECT mlops_train_now('lineage', 'SELECT pages, day, bought FROM visit', time_column => 'day', algorithm => 'baseline'),
       mlops_train_now('lineage', 'SELECT pages, at::timestamp AS at, bought FROM visit', time_column => 'at', algorithm => 'baseline'),
       mlops_train_now('lineage', 'SELECT pages, tick, bought FROM visit', time_column => 'tick', algorithm => 'baseline'),
       mlops_train_now('lineage', 'SELECT pages, id, bought FROM visit', key => 'id', algorithm => 'baseline'),
       mlops_train_now('lineage', 'SELECT pages, id, bought FROM visit', holdout => 0, algorithm => 'baseline');
SELECT version, time_from, time_to, split ->> 'by' AS split, holdout_metrics IS NOT NULL AS measured_on_holdout
  FROM mlops.version WHERE model = 'lineage' AND version > 1 ORDER BY version;

-- the spec: with what was left to us filled in, and the settings that its text was read under
SELECT jsonb_pretty(spec) FROM mlops.version WHERE model = 'lineage' AND version = 1;
SELECT params = spec -> 'params' AS same_params, source, note, seed, algorithm, task, target,
       trained_by = current_user AS by_me, trained_at BETWEEN now() - interval '1 minute' AND clock_timestamp() AS just_now, warnings
  FROM mlops.version WHERE model = 'lineage' AND version = 1;

-- the metrics, each beside that of a constant predictor, in their ranges
SELECT name, (training_metrics -> name) IS NOT NULL AS on_training, (holdout_metrics -> name) IS NOT NULL AS on_holdout,
       (baseline_metrics -> name) IS NOT NULL AS of_a_constant
  FROM mlops.version, jsonb_object_keys(holdout_metrics) AS name WHERE model = 'lineage' AND version = 1 ORDER BY name COLLATE "C";

-- the fit, its time, the builds
SELECT facts -> 'converged' AS converged, (facts ->> 'passes')::int BETWEEN 2 AND 50 AS passes,
       (facts ->> 'deviance')::float8 < (facts ->> 'null_deviance')::float8 AS better_than_nothing,
       abs((facts ->> 'log_likelihood')::float8 * -2 - (facts ->> 'deviance')::float8) < 1e-9 * (facts ->> 'deviance')::float8 AS agree
  FROM mlops.version WHERE model = 'lineage' AND version = 1;
SELECT key, value::float8 >= 0 AND value::float8 < 60 AS plausible FROM mlops.version, jsonb_each_text(durations)
 WHERE model = 'lineage' AND version = 1 ORDER BY key COLLATE "C";
SELECT builds ->> 'server' = version() AS server, builds ->> 'blas' ~ 'OpenBLAS [0-9.]+.* kernel [A-Za-z]+' AS blas,
       builds ->> 'extension' = (SELECT extversion FROM pg_extension WHERE extname = 'mlops') AS extension
  FROM mlops.version AS v WHERE model = 'lineage' AND version = 1;

-- the bytes
SELECT v.artifact_format, v.artifact_size = sum(length(a.data)) AS size,
       v.sha256 = sha256(string_agg(a.data, '' ORDER BY a.part)) AS checksum, length(v.data_fingerprint) * 8 AS bits
  FROM mlops.version AS v JOIN mlops_catalog.artifact AS a USING (model, version)
 WHERE v.model = 'lineage' AND v.version = 1 GROUP BY v.artifact_format, v.artifact_size, v.sha256, v.data_fingerprint;

-- the run that made it, and one that failed
SELECT r.status, r.version, r.phase, r.sqlstate, r.message, r.finished_at >= r.started_at AS ended, r.spec ->> 'source' AS source
  FROM mlops.run AS r JOIN mlops.version AS v ON v.run = r.run WHERE r.model = 'lineage' AND r.version = 1;
CALL mlops_train('lineage', 'SELECT pages, bought FROM visit WHERE bought');
SELECT r.status, r.version, r.phase, r.sqlstate, r.message FROM mlops.run AS r WHERE r.model = 'lineage' ORDER BY started_at DESC LIMIT 1;

-- finished: nobody but the extension's owner can reach a row, and no function of it changes one
CREATE ROLE regress_ml_trainer;
SELECT mlops_set_model('lineage', '{"description": "before"}');
SELECT md5(string_agg(v::text, ',' ORDER BY version)) AS before FROM mlops_catalog.version AS v WHERE model = 'lineage' \gset
SELECT mlops_grant('lineage', 'regress_ml_trainer', 'train'), mlops_grant('lineage', 'regress_ml_trainer', 'promote');
SET ROLE regress_ml_trainer;
UPDATE mlops.version SET note = 'changed' WHERE model = 'lineage';
UPDATE mlops_catalog.version SET note = 'changed' WHERE model = 'lineage';
\echo :LAST_ERROR_SQLSTATE
DELETE FROM mlops_catalog.artifact;
TRUNCATE mlops_catalog.version;
RESET ROLE;
SELECT version FROM mlops_promote('lineage', 1, threshold => 0.3);
SELECT version FROM mlops_promote('lineage', 2);
SELECT version FROM mlops_rollback('lineage');
SELECT mlops_set_alias('lineage', 'best', 1), mlops_set_model('lineage', '{"description": "after"}');
SELECT md5(string_agg(v::text, ',' ORDER BY version)) = :'before' AS unchanged FROM mlops_catalog.version AS v WHERE model = 'lineage';

SET client_min_messages = error;
SELECT mlops_drop_model('lineage', force => true);
DROP SCHEMA lineage_test CASCADE;
DROP ROLE regress_ml_trainer;
