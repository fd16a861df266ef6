-- Versions and models can be dropped by the owner of the model. A version that
-- is in use - active, under an alias, or in the rollback stack - stays; what is
-- dropped leaves a line in mlops.dropped_version. Scratch versions prune
-- themselves: mlops.scratch_keep of them are kept.
CREATE SCHEMA ml_drop;
SET search_path = ml_drop;
\set SHOW_CONTEXT never
CREATE TABLE points AS SELECT i AS x, 3 + 2 * i AS y FROM generate_series(1, 40) AS i;
SET client_min_messages = error;
SELECT max(mlops_train_now('going', 'points', 'y')) AS versions FROM generate_series(1, 5);
RESET client_min_messages;

SELECT mlops_drop_version('going', 5, reason => 'trained by mistake');
SELECT version FROM mlops.version WHERE model = 'going' ORDER BY version;
SELECT version, algorithm, length(sha256) AS checksum_bytes, reason FROM mlops.dropped_version WHERE model = 'going';

-- every use is named
SELECT count(mlops_promote('going', v)) AS promotions FROM unnest(ARRAY[2, 1, 2, 3]) AS v;
SELECT mlops_set_alias('going', 'fallback', 2), mlops_set_alias('going', 'best', 3);
SELECT mlops_drop_version('going', 2);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_drop_version('going', 3);
SELECT mlops_drop_version('going', 4);

-- a version that left the rollback stack is free; the history keeps its line
SELECT mlops_set_alias('going', 'fallback', NULL);
SELECT version FROM mlops_rollback('going', 3);
SELECT mlops_drop_version('going', 1);
SELECT number, version FROM mlops.deployment WHERE model = 'going' ORDER BY number;

-- a number is not given twice
SET client_min_messages = error;
SELECT mlops_train_now('going', 'points', 'y') AS version;

-- scratch versions: the newest are kept, and those in use
SET mlops.scratch_keep = 2;
SELECT mlops_train_now('going', 'points', 'y', options => '{"scratch": true}') AS version;
SELECT mlops_set_alias('going', 'try', 7);
SELECT max(mlops_train_now('going', 'points', 'y', options => '{"scratch": true}')) AS version FROM generate_series(1, 4);
SELECT version, scratch FROM mlops.version WHERE model = 'going' ORDER BY version;
SELECT version, reason FROM mlops.dropped_version WHERE model = 'going' ORDER BY version;
RESET mlops.scratch_keep;
RESET client_min_messages;

-- What is refused
SELECT mlops_drop_version('going', 77);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_drop_version('going', NULL);
SELECT mlops_drop_version('gone', 1);
SELECT mlops_drop_model('going');
\echo :LAST_ERROR_SQLSTATE
CREATE ROLE regress_ml_trainer;
SELECT mlops_grant('going', 'regress_ml_trainer', 'train');
SET ROLE regress_ml_trainer;
SELECT mlops_drop_version('going', 3);
RESET ROLE;
BEGIN READ ONLY;
SELECT mlops_drop_version('going', 3);
ROLLBACK;

-- force drops a model that serves; nothing of it is left but the tombstones
SELECT mlops_drop_model('going', force => true, reason => 'replaced');
SELECT count(*) AS rows FROM (SELECT model FROM mlops_catalog.version UNION ALL SELECT model FROM mlops_catalog.artifact
       UNION ALL SELECT model FROM mlops_catalog.run UNION ALL SELECT model FROM mlops_catalog.serving
       UNION ALL SELECT model FROM mlops_catalog.alias UNION ALL SELECT model FROM mlops_catalog.deployment
       UNION ALL SELECT model FROM mlops_catalog.privilege) AS r WHERE model = 'going';
SELECT count(*) AS tombstones FROM mlops_catalog.dropped_version WHERE model = 'going';
SELECT mlops_predict('going', '{"x": 1}'::json);

SET client_min_messages = error;
DROP SCHEMA ml_drop CASCADE;
DROP ROLE regress_ml_trainer;
