-- The owner of a model may do everything with it. Others need a privilege that
-- the owner gives: train, promote, read (versions, runs, history) or predict.
-- train and promote imply read, read implies predict. Members of a role have
-- what the role has. Nobody has rights on the tables; the views show the rows
-- of the models that one may see.
\set SHOW_CONTEXT never
CREATE ROLE regress_ml_owner;
CREATE ROLE regress_ml_team;
CREATE ROLE regress_ml_analyst IN ROLE regress_ml_team;
CREATE ROLE regress_ml_app;
CREATE ROLE regress_ml_stranger;
CREATE SCHEMA ml_privileges;
GRANT USAGE ON SCHEMA ml_privileges TO PUBLIC;
CREATE TABLE ml_privileges.points AS SELECT i AS x, 3 + 2 * i AS y FROM generate_series(1, 40) AS i;
GRANT SELECT ON ml_privileges.points TO regress_ml_owner, regress_ml_team, regress_ml_app;
SET search_path = ml_privileges;

-- Making models takes CREATE on schema mlops
SET client_min_messages = error;
SET ROLE regress_ml_owner;
SELECT mlops_create_model('priv');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT CREATE ON SCHEMA mlops TO regress_ml_owner;
SET ROLE regress_ml_owner;
SELECT mlops_train_now('priv', 'points', 'y') AS version;
SELECT model, deployment FROM mlops_promote('priv', 1);
RESET client_min_messages;

-- A stranger sees nothing and may do nothing
SET ROLE regress_ml_stranger;
SELECT count(*) AS models FROM mlops.model;
SELECT count(*) AS rows FROM (SELECT model FROM mlops.version UNION ALL SELECT model FROM mlops.run UNION ALL
       SELECT model FROM mlops.serving UNION ALL SELECT model FROM mlops.deployment UNION ALL
       SELECT model FROM mlops.privilege UNION ALL SELECT model FROM mlops_status()) AS everything;
SELECT mlops_predict('priv', '{"x": 1}'::json);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_promote('priv', 1);
SELECT mlops_rollback('priv');
SELECT mlops_set_alias('priv', 'best', 1);
SELECT mlops_train_now('priv', 'points', 'y');
SELECT mlops_grant('priv', 'regress_ml_stranger', 'predict');
SELECT mlops_set_model('priv', '{"owner": "regress_ml_stranger"}');
SELECT mlops_drop_model('priv', force => true);

-- nor are names betrayed by the nearest one
SELECT mlops_promote('prif', 1);

-- nor is there a way around: the tables, or a leaky function in a view
SELECT count(*) FROM mlops_catalog.model;
\echo :LAST_ERROR_SQLSTATE
CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001
AS $$BEGIN RAISE NOTICE 'leaked %', $1; RETURN true; END$$;
SELECT model FROM mlops.model WHERE pg_temp.leak(model);
DROP FUNCTION pg_temp.leak(text);

-- predict: score, and see that the model is there
RESET ROLE;
SET ROLE regress_ml_owner;
SELECT mlops_grant('priv', 'regress_ml_app', 'predict');
SET ROLE regress_ml_app;
SELECT abs(mlops_predict('priv', '{"x": 1}'::json) - 5) < 1e-9 AS scores;
SELECT model, version, algorithm IS NULL AS details_hidden FROM mlops_status();
SELECT count(*) AS versions FROM mlops.version;
SELECT mlops_promote('priv', 1);

-- what was taken back is gone at the next statement, and comes back with a rollback
RESET ROLE;
BEGIN;
SELECT mlops_revoke('priv', 'regress_ml_app', 'predict');
SET LOCAL ROLE regress_ml_app;
SAVEPOINT refused;
SELECT mlops_predict('priv', '{"x": 1}'::json);
ROLLBACK;
SET ROLE regress_ml_app;
SELECT abs(mlops_predict('priv', '{"x": 1}'::json) - 5) < 1e-9 AS scores;

-- train: through a role; what is trained is seen at once
SET ROLE regress_ml_owner;
SELECT mlops_grant('priv', 'regress_ml_team', 'train');
SELECT mlops_grant('priv', 'regress_ml_team', 'train');
SET ROLE regress_ml_analyst;
SET client_min_messages = error;
SELECT mlops_train_now('priv', 'points', 'y', note => 'by the analyst') AS version;
RESET client_min_messages;
SELECT version, trained_by, note FROM mlops.version ORDER BY version;
SELECT grantee, privilege, grantor FROM mlops.privilege ORDER BY grantee;
SELECT mlops_promote('priv', 2);

-- promote: without being able to train
SET ROLE regress_ml_owner;
SELECT mlops_revoke('priv', 'regress_ml_team', 'train');
SELECT mlops_revoke('priv', 'regress_ml_team', 'train');
SELECT mlops_grant('priv', 'regress_ml_team', 'promote');
SET ROLE regress_ml_analyst;
SELECT version, deployment, previous_version FROM mlops_promote('priv', 2, reason => 'newer');
SELECT version, deployment, previous_version FROM mlops_rollback('priv');
SELECT mlops_train_now('priv', 'points', 'y');

-- membership counts, and its end
SELECT abs(mlops_predict('priv', '{"x": 1}'::json) - 5) < 1e-9 AS scores;
RESET ROLE;
REVOKE regress_ml_team FROM regress_ml_analyst;
SET ROLE regress_ml_analyst;
SELECT mlops_predict('priv', '{"x": 1}'::json);
RESET ROLE;
GRANT regress_ml_team TO regress_ml_analyst;

-- everybody
SET ROLE regress_ml_owner;
SELECT mlops_grant('priv', 'public', 'read');
SET ROLE regress_ml_stranger;
SELECT number, action, version, deployed_by, reason FROM mlops.deployment ORDER BY number;
SET ROLE regress_ml_owner;
SELECT mlops_revoke('priv', 'public', 'read');

-- What is refused: unknown privileges and roles
SELECT mlops_grant('priv', 'regress_ml_team', 'promot');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_grant('priv', 'regress_ml_nobody', 'read');
\echo :LAST_ERROR_SQLSTATE

-- A model is given away as a table is: by a member of the new owner, who may make models
\set VERBOSITY sqlstate
SELECT mlops_set_model('priv', '{"owner": "regress_ml_team"}');
\set VERBOSITY default
RESET ROLE;
SELECT mlops_set_model('priv', '{"owner": "regress_ml_team"}');
GRANT CREATE ON SCHEMA mlops TO regress_ml_team;
SELECT mlops_set_model('priv', '{"owner": "regress_ml_team"}');
SET ROLE regress_ml_analyst;
SELECT mlops_set_model('priv', '{"description": "now ours"}');
SET ROLE regress_ml_owner;
SELECT mlops_set_model('priv', '{"description": "no more"}');
RESET ROLE;

-- Every table is closed, every view is a barrier, every public function is callable
SELECT c.relname, c.relacl FROM pg_class AS c
 WHERE c.relnamespace = 'mlops_catalog'::regnamespace AND c.relkind = 'r'
   AND has_table_privilege('regress_ml_stranger', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER');
SELECT c.relname FROM pg_class AS c
 WHERE c.relnamespace = 'mlops'::regnamespace AND c.relkind = 'v'
   AND (NOT 'security_barrier=true' = ANY (c.reloptions) OR NOT has_table_privilege('regress_ml_stranger', c.oid, 'SELECT'));
SELECT p.oid::regprocedure FROM pg_proc AS p
 WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname ~ '^mlops_'
   AND NOT has_function_privilege('regress_ml_stranger', p.oid, 'EXECUTE');

-- whatever default privileges the database has
BEGIN;
SET LOCAL client_min_messages = error;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
DROP EXTENSION mlops CASCADE;
CREATE EXTENSION mlops;
SELECT p.oid::regprocedure AS not_for_everybody FROM pg_proc AS p
  JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'mlops'
 WHERE NOT has_function_privilege('regress_ml_stranger', p.oid, 'EXECUTE') ORDER BY p.proname;
ROLLBACK;

SELECT mlops_drop_model('priv', force => true);
SET client_min_messages = error;
DROP SCHEMA ml_privileges CASCADE;
REVOKE CREATE ON SCHEMA mlops FROM regress_ml_owner, regress_ml_team;
DROP ROLE regress_ml_owner, regress_ml_analyst, regress_ml_team, regress_ml_app, regress_ml_stranger;
