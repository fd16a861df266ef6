-- Who may train: owners, holders of "train", and for a new model roles with
-- CREATE on schema mlops. The source runs with the rights of who trains; a
-- retrained source with those of who wrote it, and under its settings.

CREATE SCHEMA train_privileges_test;
SET search_path = train_privileges_test;
SET client_min_messages = warning;
CREATE ROLE regress_ml_ann;
CREATE ROLE regress_ml_ben;
GRANT USAGE, CREATE ON SCHEMA train_privileges_test TO regress_ml_ann, regress_ml_ben;
CREATE TABLE points AS SELECT i::float8 AS x, 2 * i + sin(i) AS y, i % 2 AS tenant FROM generate_series(1, 100) AS i;

-- no right to make models
SET ROLE regress_ml_ann;
CALL mlops_train('pm', 'points', 'y');
RESET ROLE;
GRANT CREATE ON SCHEMA mlops TO regress_ml_ann;

-- the run of a first training that failed is seen by who trained, and by superusers
SET ROLE regress_ml_ann;
CALL mlops_train('pm_failed', 'SELECT 1 AS x', 'y');
SELECT status, sqlstate FROM mlops.run WHERE model = 'pm_failed';
SET ROLE regress_ml_ben;
SELECT status, sqlstate FROM mlops.run WHERE model = 'pm_failed';
RESET ROLE;
SELECT status, sqlstate, trained_by FROM mlops.run WHERE model = 'pm_failed';

-- no right to read the source
SET ROLE regress_ml_ann;
CALL mlops_train('pm', 'points', 'y', exclude => '{tenant}');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT SELECT ON points TO regress_ml_ann;
SET ROLE regress_ml_ann;
CALL mlops_train('pm', 'points', 'y', exclude => '{tenant}');

-- no right to train the model of somebody else
SET ROLE regress_ml_ben;
CALL mlops_train('pm', 'SELECT 1.0::float8 AS x, 2.0::float8 AS y', 'y');
\echo :LAST_ERROR_SQLSTATE

-- with "train": the source that ann wrote runs as ann, who may read it
SET ROLE regress_ml_ann;
SELECT mlops_grant('pm', 'regress_ml_ben', 'train');
SET ROLE regress_ml_ben;
SELECT count(*) FROM points;
CALL mlops_retrain('pm/1');
SELECT version, trained_by, spec ->> 'author' AS author FROM mlops.version WHERE model = 'pm' ORDER BY version;

-- a version that ben retrained is still ann's source, whoever retrains it next
RESET ROLE;
CREATE FUNCTION who() RETURNS float8 LANGUAGE plpgsql AS $$BEGIN RAISE WARNING 'source runs as %', current_user; RETURN 1; END$$;
SET ROLE regress_ml_ann;
CALL mlops_train('pm', 'SELECT x, y FROM points, (SELECT who() OFFSET 0) w');
SET ROLE regress_ml_ben;
CALL mlops_retrain('pm/3');
RESET ROLE;
CALL mlops_retrain('pm/4');
SELECT version, CASE trained_by WHEN session_user THEN 'superuser' ELSE trained_by END AS trained_by, spec ->> 'author' AS author
  FROM mlops.version WHERE model = 'pm' AND version > 2 ORDER BY version;

-- the settings it runs under are its author's too
SET ROLE regress_ml_ben;
CALL mlops_retrain('pm/3', '{"settings": {"search_path": "pg_temp"}}');
\echo :LAST_ERROR_SQLSTATE
-- a source of one's own is one's own
CALL mlops_retrain('pm/3', '{"source": "points"}');
\echo :LAST_ERROR_SQLSTATE
-- and is read under one's own settings, not in the search_path that ann chose
SET search_path = pg_catalog;
CALL mlops_retrain('pm/3', '{"source": "points"}');
\echo :LAST_ERROR_SQLSTATE
SET search_path = train_privileges_test;

-- the author who lost the right to train takes the source along
RESET ROLE;
SELECT mlops_train_now('own', 'points', 'y');
SELECT mlops_grant('own', 'regress_ml_ann', 'train');
SET ROLE regress_ml_ann;
CALL mlops_train('own', 'points');
RESET ROLE;
SELECT mlops_revoke('own', 'regress_ml_ann', 'train');
CALL mlops_retrain('own/2');
\echo :LAST_ERROR_SQLSTATE

-- row-level security holds, and is told
CREATE POLICY one_tenant ON points USING (tenant = 1);
ALTER TABLE points ENABLE ROW LEVEL SECURITY;
SET ROLE regress_ml_ann;
CALL mlops_train('pm', 'points', exclude => '{tenant}');
SELECT rows_read, row_security FROM mlops.version WHERE model = 'pm' ORDER BY version DESC LIMIT 1;
RESET ROLE;

-- kept rows are for those who may read the model
SELECT mlops_train_now('own', 'points', options => '{"keep_rows": true}') AS version \gset
SELECT count(*) FROM mlops_rows('own/' || :version);
SET ROLE regress_ml_ben;
SELECT count(*) FROM mlops_rows('own/' || :version);
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;

SELECT mlops_drop_model('pm'), mlops_drop_model('own');
DROP SCHEMA train_privileges_test CASCADE;
REVOKE CREATE ON SCHEMA mlops FROM regress_ml_ann;
DROP ROLE regress_ml_ann, regress_ml_ben;
