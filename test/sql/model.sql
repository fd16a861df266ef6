-- A model is a named problem with one target and one primary metric, owned by
-- the role that made it. It is made by its first training or beforehand, by
-- mlops_create_model; what is known about it can be changed by mlops_set_model.
-- A reference names a model, one of its versions or an alias: 'churn',
-- 'churn/7', 'churn@fallback'.
CREATE SCHEMA ml_model;
SET search_path = ml_model;
\set SHOW_CONTEXT never

SELECT mlops_create_model('churn', target => 'left_us', metric => 'roc_auc',
                          positive => 'yes', description => 'who leaves within a month');
SELECT model, target, metric, positive, description, last_version FROM mlops.model WHERE model = 'churn';
SELECT model, version, metric, versions, last_run FROM mlops_status() WHERE model = 'churn';

-- what is said of a model is data; null takes one back
SELECT mlops_set_model('churn', '{"metric": "log_loss", "description": null, "positive": true}');
SELECT metric, description, positive FROM mlops.model WHERE model = 'churn';
SELECT mlops_set_model('churn', '{"positive": "yes"}');

-- names may be anything that a reference can tell apart
SELECT mlops_create_model('Näch$ter Umsatz (€)');
SELECT mlops_create_model(U&'next\0085line');
SELECT model FROM mlops.model WHERE model ~ 'Umsatz';

-- a training makes the model that is missing, and completes one that was made
CREATE TABLE customer AS SELECT i AS age, i % 5 AS calls, CASE WHEN i * 7 % 11 > 5 THEN 'yes' ELSE 'no' END AS left_us
  FROM generate_series(1, 60) AS i;
SET client_min_messages = error;
SELECT mlops_train_now('churn', 'customer') AS version;
SELECT mlops_train_now('calls', 'customer', 'calls', exclude => ARRAY['left_us']) AS version;
RESET client_min_messages;
SELECT model, target, task, metric, last_version FROM mlops.model WHERE model IN ('churn', 'calls') ORDER BY model COLLATE "C";
SELECT model, version, algorithm, rows_read = 60 AS read_all, length(sha256) AS checksum_bytes,
       artifact_size > 0 AS has_artifact FROM mlops.version WHERE model IN ('churn', 'calls') ORDER BY model, version;
SELECT model, status, version, phase IS NOT NULL AS has_phase, finished_at >= started_at AS has_end
  FROM mlops.run WHERE model IN ('churn', 'calls') ORDER BY model;

-- a run whose backend is gone is lost
SELECT mlops.run_status('running', pg_backend_pid(),
                        (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())) AS mine,
       mlops.run_status('running', pg_backend_pid(), '2001-01-01') AS number_taken_by_another,
       mlops.run_status('running', 0, now()) AS gone,
       mlops.run_status('running', NULL, NULL) AS unknown,
       mlops.run_status('finished', 0, now()) AS over;

-- What is refused: a name that is taken, or that a reference could not be told from
SELECT mlops_create_model('churn');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_create_model('churn/2');
SELECT mlops_create_model(repeat('x', 64));
SELECT mlops_create_model('');
SELECT mlops_create_model(E'two\nlines');
SELECT mlops_create_model(NULL);

-- an unknown setting or metric, with the nearest name
SELECT mlops_set_model('churn', '{"metrics": "roc_auc"}');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_set_model('churn', '{"metric": "roc_auk"}');
SELECT mlops_set_model('churn', '{"metric": "rmse"}');
\echo :LAST_ERROR_SQLSTATE
-- what a model of no task yet will judge is known when it is trained
SELECT mlops_create_model('unsuited', metric => 'rmse');
SELECT mlops_train_now('unsuited', 'SELECT i AS x, i % 3 = 0 AS y FROM generate_series(1, 100) AS i', 'y');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_set_model('unsuited', '{"metric": "brier"}');
SELECT mlops_train_now('unsuited', 'SELECT i AS x, i * 2.0 AS y FROM generate_series(1, 100) AS i', 'y', algorithm => 'baseline');
SELECT last_version FROM mlops.model WHERE model = 'unsuited';
SELECT mlops_drop_model('unsuited');
SELECT mlops_set_model('churn', '{"description": ["a"]}');
SELECT mlops_set_model('churn', '[]');
SELECT mlops_create_model('late', target => 'y', settings => '{"target": "y"}');

-- a target that versions were trained for
SELECT mlops_set_model('churn', '{"target": "age"}');
\echo :LAST_ERROR_SQLSTATE

-- a model that is not there
SELECT mlops_set_model('chrun', '{}');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_drop_model('it''s "gone"'' now');
SELECT mlops_create_model('it''s "new"');
SELECT mlops_predict('it''s "new"', '{}'::json);
SELECT mlops_drop_model('it''s "new"');

-- references: malformed ones are told from missing ones
SELECT mlops_predict('churn/', '{}'::json);
SELECT mlops_predict('churn/latest', '{}'::json);
SELECT mlops_predict('churn/99999999999', '{}'::json);
SELECT mlops_predict('churn@', '{}'::json);
SELECT mlops_predict('churn/7', '{}'::json);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_set_alias('churn', 'fallback', 1);
SELECT mlops_predict('churn@falback', '{}'::json);
SELECT mlops_predict('churn', '{}'::json);
\echo :LAST_ERROR_SQLSTATE

-- nothing is written where nothing can be
BEGIN READ ONLY;
SELECT mlops_create_model('no');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

-- The scans that scoring makes know columns by number
SELECT t.relation, t.number, a.attname
  FROM (VALUES ('model', 1, 'name'), ('model', 2, 'owner'), ('model', 3, 'target'), ('model', 4, 'task'),
               ('model', 5, 'metric'), ('model', 6, 'positive'), ('model', 7, 'description'),
               ('model', 8, 'settings'), ('model', 9, 'last_version'), ('model', 10, 'created_at'),
               ('privilege', 1, 'model'), ('privilege', 2, 'grantee'), ('privilege', 3, 'privilege'),
               ('version', 1, 'model'), ('version', 2, 'version'), ('version', 3, 'sha256'), ('version', 4, 'threshold'),
               ('artifact', 1, 'model'), ('artifact', 2, 'version'), ('artifact', 3, 'part'), ('artifact', 4, 'data'),
               ('serving', 1, 'model'), ('serving', 2, 'version'), ('serving', 3, 'sha256'), ('serving', 4, 'threshold'),
               ('serving', 5, 'rules'), ('serving', 12, 'rules_sha256'),
               ('rule_set', 1, 'model'), ('rule_set', 2, 'number'), ('rule_set', 3, 'sha256'), ('rule_set', 4, 'program'),
               ('serving', 9, 'deployment'), ('serving', 18, 'shadows'),
               ('shadow', 1, 'model'), ('shadow', 2, 'name'), ('shadow', 3, 'version'), ('shadow', 4, 'sha256'),
               ('shadow', 5, 'threshold'), ('shadow', 6, 'share'),
               ('training_profile', 1, 'model'), ('training_profile', 2, 'version'), ('training_profile', 3, 'role'),
               ('training_profile', 4, 'feature'), ('training_profile', 19, 'bin_low'), ('training_profile', 20, 'bin_high'),
               ('alias', 1, 'model'), ('alias', 2, 'alias'), ('alias', 3, 'version'), ('alias', 4, 'sha256')
       ) AS t(relation, number, name)
  LEFT JOIN pg_attribute AS a ON a.attrelid = ('mlops_catalog.' || t.relation)::regclass AND a.attnum = t.number
 WHERE a.attname IS DISTINCT FROM t.name;
-- and by keys whose order is that of bytes
SELECT c.relname, a.attname
  FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
 WHERE c.relnamespace = 'mlops_catalog'::regnamespace AND a.atttypid = 'text'::regtype
   AND a.attcollation <> '"C"'::regcollation;

-- every table is carried by pg_dump
SELECT c.relname FROM pg_class AS c
 WHERE c.relnamespace = 'mlops_catalog'::regnamespace AND c.relkind = 'r'
   AND NOT c.oid = ANY (SELECT unnest(extconfig) FROM pg_extension WHERE extname = 'mlops');

-- a session follows DROP and CREATE EXTENSION, taken back or not
BEGIN;
SET LOCAL client_min_messages = error;
DROP EXTENSION mlops CASCADE;
CREATE EXTENSION mlops;
SELECT mlops_create_model('churn');
SELECT model, last_version FROM mlops.model;
ROLLBACK;
SELECT model, last_version FROM mlops.model WHERE model = 'churn';
SELECT mlops_predict('churn/1', c) IS NOT NULL AS scores FROM customer AS c WHERE age = 7;

SELECT mlops_drop_model('churn', force => true), mlops_drop_model('calls'), mlops_drop_model('Näch$ter Umsatz (€)'), mlops_drop_model(U&'next\0085line');
SET client_min_messages = error;
DROP SCHEMA ml_model CASCADE;
