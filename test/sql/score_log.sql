-- mlops_score() scores a whole query and logs it in the caller's transaction,
-- on any server. The log of a model belongs to its owner, who says what is
-- logged; whoever has the privilege "read" may look at it. Calls of mlops_predict
-- are logged only where shared_preload_libraries has mlops (test/t/030_log.pl).

CREATE SCHEMA score_log_test;
GRANT USAGE ON SCHEMA score_log_test TO PUBLIC;
SET search_path = score_log_test;
\set SHOW_CONTEXT never
SET client_min_messages = error;

-- y = 3 + 2x; fit on these rows, a row scores its y
CREATE TABLE point AS SELECT i AS id, i::float8 AS x, 3.0 + 2 * i AS y FROM generate_series(1, 40) AS i;
GRANT SELECT ON point TO PUBLIC;
SELECT mlops_train_now('log_line', 'point', 'y', key => 'id', algorithm => 'linear_regression') AS version;
SELECT mlops_train_now('log_line', 'point', 'y', key => 'id', algorithm => 'baseline') AS version;
SELECT (mlops_promote('log_line', 1)).version;
SELECT mlops_set_alias('log_line', 'fallback', 2);
RESET client_min_messages;

-- what mlops_predict would say, with the version and the role that said it
SELECT key, round(prediction::numeric, 6) AS prediction, label, version, role
  FROM mlops_score('log_line', 'SELECT * FROM point WHERE id <= 3 ORDER BY id', 'id');
SELECT count(*), bool_and(role = 'fallback' AND version = 2) AS fallback FROM mlops_score('log_line@fallback', 'point', 'id');
SELECT count(*), bool_and(role = 'pinned' AND version = 2) AS pinned FROM mlops_score('log_line/2', 'point', 'id');
-- a NULL row scores NULL
SELECT key, prediction FROM mlops_score('log_line', 'SELECT NULL::float8 AS x, NULL::float8 AS y');

-- it is in the log, with the deployment that made the version serve
SELECT role, version, count(*), count(deployment) AS deployed, count(prediction) AS predicted, bool_and(latency_us >= 0) AS timed,
       bool_and(at BETWEEN now() - interval '1 hour' AND clock_timestamp()) AS just_now, count(input) AS inputs, count(rules_fired) AS rules
  FROM mlops.prediction WHERE model = 'log_line' GROUP BY role, version ORDER BY role;
SELECT bool_and(l.prediction = mlops_predict('log_line', p)) AS same
  FROM mlops.prediction AS l JOIN point AS p ON p.id::text = l.key WHERE l.model = 'log_line' AND l.role = 'active' AND l.prediction IS NOT NULL;

-- it belongs to the transaction
BEGIN;
SELECT count(*) FROM mlops_score('log_line', 'SELECT *, ''back'' AS k FROM point', 'k');
ROLLBACK;
SELECT count(*) FROM mlops.prediction WHERE key = 'back';

-- rows without a key are scored and not logged, unless the owner wants them
SELECT count(*) FROM mlops_score('log_line', 'point');
SELECT count(*) FROM mlops.prediction WHERE model = 'log_line' AND key IS NULL;
SELECT mlops_set_model('log_line', '{"log_without_key": true, "log_input": true}');
SELECT count(*) FROM mlops_score('log_line', 'SELECT x, ''a'' AS what FROM point WHERE id = 1');
SELECT key, input FROM mlops.prediction WHERE model = 'log_line' AND key IS NULL;
SELECT mlops_set_model('log_line', '{"log_without_key": null, "log_input": false}');

-- a key of more than 255 bytes is logged as its hash
SELECT octet_length(key) AS octets, key = repeat('k', 255) AS itself
  FROM mlops_score('log_line', 'SELECT x, repeat(''k'', 255) AS k FROM point WHERE id = 1', 'k');
SELECT key = 'sha256:' || encode(sha256(repeat('k', 256)::bytea), 'hex') AS hashed
  FROM mlops_score('log_line', 'SELECT x, repeat(''k'', 256) AS k FROM point WHERE id = 1', 'k');

-- a share of the keys is the same share each time, and 0 logs nothing
SELECT mlops_set_model('log_line', '{"log_sample": 0.5}');
SELECT count(*) FROM mlops_score('log_line', 'SELECT x, ''s'' || id AS k FROM point', 'k');
SELECT count(*) FROM mlops_score('log_line', 'SELECT x, ''s'' || id AS k FROM point', 'k');
SELECT count(DISTINCT key) BETWEEN 8 AND 32 AS about_half, count(*) = 2 * count(DISTINCT key) AS same_keys
  FROM mlops.prediction WHERE model = 'log_line' AND (key LIKE 's_' OR key LIKE 's__');
SELECT log FROM mlops_status() WHERE model = 'log_line';
SELECT mlops_set_model('log_line', '{"log_sample": 0}');
SELECT count(*) FROM mlops_score('log_line', 'SELECT x, ''none'' AS k FROM point', 'k');
SELECT count(*) FROM mlops.prediction WHERE key = 'none';
SELECT log FROM mlops_status() WHERE model = 'log_line';
SELECT mlops_set_model('log_line', '{"log_sample": null}');
SELECT settings FROM mlops.model WHERE model = 'log_line';

-- What is refused: settings that are none
SELECT mlops_set_model('log_line', '{"log_sample": 1.5}');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_set_model('log_line', '{"log_sample": "NaN"}');
SELECT mlops_set_model('log_line', '{"log_input": "yes"}');
SELECT mlops_set_model('log_line', '{"outcome_policy": "last"}');
SELECT mlops_set_model('log_line', '{"log_samples": 1}');

-- a column that is not there, a source that is none, and a transaction that may not write
SELECT * FROM mlops_score('log_line', 'point', 'key');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM mlops_score('log_line', 'DELETE FROM point', 'id');
SELECT * FROM mlops_score('log_line', NULL, 'id');
SELECT * FROM mlops_score('log_lime', 'point', 'id');
BEGIN READ ONLY;
SELECT * FROM mlops_score('log_line', 'point', 'id');
ROLLBACK;

-- whoever may predict scores and is logged; looking needs "read", settings the owner
CREATE ROLE regress_ml_predict;
CREATE ROLE regress_ml_read;
SELECT mlops_grant('log_line', 'regress_ml_predict', 'predict');
SELECT mlops_grant('log_line', 'regress_ml_read', 'read');
SET ROLE regress_ml_predict;
SELECT count(*) FROM mlops_score('log_line', 'SELECT x, ''by predict'' AS k FROM point WHERE id = 1', 'k');
SELECT count(*) FROM mlops.prediction;
SELECT mlops_set_model('log_line', '{"log_sample": 1}');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_forget('log_line', 'by predict');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
SELECT mlops_prune_log(1);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops.make_log_partitions();
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
SELECT * FROM mlops_catalog.prediction;
\echo :LAST_ERROR_SQLSTATE
SET ROLE regress_ml_read;
SELECT count(*) FROM mlops.prediction WHERE key = 'by predict';
RESET ROLE;

-- the owner erases a key
SELECT mlops_forget('log_line', 'by predict') AS erased;
SELECT mlops_forget('log_line', repeat('k', 256)) AS erased;
SELECT count(*) FROM mlops.prediction WHERE key = 'by predict';
SELECT mlops_prune_log(-1);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops.make_log_partitions('infinity');
\echo :LAST_ERROR_SQLSTATE

-- a server without the library preloaded says so; there is nothing to wait for
SELECT preloaded, calls, written FROM mlops_log();
SELECT mlops_flush_log();
SELECT log FROM mlops_status() WHERE model = 'log_line';

-- the log goes with the model
SELECT mlops_drop_model('log_line', force => true);
SELECT count(*) FROM mlops_catalog.prediction WHERE model = 'log_line';
DROP ROLE regress_ml_predict, regress_ml_read;
DROP SCHEMA score_log_test CASCADE;
