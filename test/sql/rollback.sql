-- A rollback makes the bundle that served before serve again: version and
-- threshold together. It walks back through what served and does not swing to
-- and fro: what was rolled back is not on the way of the next rollback.
-- mlops.rollback_depth says how many bundles are kept to go back to.
CREATE SCHEMA ml_rollback;
SET search_path = ml_rollback;
\set SHOW_CONTEXT never
CREATE TABLE visit AS SELECT i AS n, i % 7 AS pages, i * 5 % 13 > 5 AS bought FROM generate_series(1, 80) AS i;
SET client_min_messages = error;
SELECT max(mlops_train_now('back', 'visit', 'bought', params => format('{"l2": %s}', i)::jsonb)) AS versions
  FROM generate_series(1, 4) AS i;

-- nothing to go back to
SELECT mlops_rollback('back');
\echo :LAST_ERROR_SQLSTATE
SELECT version FROM mlops_promote('back', 1, threshold => 0.1);
SELECT mlops_rollback('back');

-- 1, 2, 3 serve in turn; two rollbacks lead back to 1
SELECT version FROM mlops_promote('back', 2, threshold => 0.2);
SELECT version FROM mlops_promote('back', 3, threshold => 0.3);
SELECT version, threshold, deployment, previous_version FROM mlops_rollback('back', reason => 'complaints');
SELECT version, threshold, deployment, previous_version FROM mlops_rollback('back');
SELECT mlops_rollback('back');
SELECT number, action, version, threshold, from_version, restored_deployment, reason
  FROM mlops.deployment WHERE model = 'back' ORDER BY number;

-- after going back to 1, a promotion of 4 is on top of 1: 3 and 2 are not on the way
SELECT version FROM mlops_promote('back', 4, threshold => 0.4);
SELECT version, threshold FROM mlops_rollback('back');

-- thresholds are part of what served
SELECT version, threshold FROM mlops_promote('back', 1, threshold => 0.9);
SELECT version, threshold FROM mlops_rollback('back');

-- several steps at once; a transaction that is rolled back leaves no trace
SELECT count(mlops_promote('back', v, threshold => 0.5)) AS promotions FROM unnest(ARRAY[2, 3, 4]) AS v;
BEGIN;
SELECT version, threshold FROM mlops_rollback('back', steps => 3);
ROLLBACK;
SELECT version FROM mlops.serving WHERE model = 'back';
SELECT version, threshold FROM mlops_rollback('back', 2);
SELECT mlops_rollback('back', steps => 5);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_rollback('back', 0);
SELECT mlops_rollback('back', NULL);

-- the stack is bounded: the oldest falls off
SET mlops.rollback_depth = 2;
SELECT count(mlops_promote('back', v, threshold => 0.7)) AS promotions FROM unnest(ARRAY[1, 2, 3, 4]) AS v;
SELECT cardinality(stack) AS steps FROM mlops.serving WHERE model = 'back';
SELECT version FROM mlops_rollback('back', 2);
SELECT mlops_rollback('back');
RESET mlops.rollback_depth;

-- refused where nothing can be written, and to roles without the privilege promote
BEGIN READ ONLY;
SELECT mlops_rollback('back');
ROLLBACK;
CREATE ROLE regress_ml_reader;
SELECT mlops_grant('back', 'regress_ml_reader', 'read');
SET ROLE regress_ml_reader;
SELECT mlops_rollback('back');
SET mlops.rollback_depth = 1;
RESET ROLE;

SELECT mlops_drop_model('back', force => true);
DROP SCHEMA ml_rollback CASCADE;
DROP ROLE regress_ml_reader;
