-- An alias is a name for a version: 'churn@fallback' scores with the version
-- that the alias stands for, whatever is active. mlops_set_alias sets, moves
-- and, with NULL, removes it. active, canary and shadow are not aliases but
-- roles that serving gives.
CREATE SCHEMA ml_alias;
SET search_path = ml_alias;
\set SHOW_CONTEXT never
CREATE TABLE points AS SELECT i AS x, 3 + 2 * i AS y FROM generate_series(1, 40) AS i;
SET client_min_messages = error;
SELECT mlops_train_now('named', 'points', 'y') AS version;
SELECT mlops_train_now('named', 'points', 'y', algorithm => 'baseline') AS version;
RESET client_min_messages;
SELECT version FROM mlops_promote('named', 1);

SELECT mlops_set_alias('named', 'fallback', 2);
SELECT mlops_predict('named@fallback', p) = mlops_predict('named/2', p) AS fallback_is_2,
       mlops_predict('named@active', p) = mlops_predict('named', p) AS active_is_active
  FROM points AS p WHERE x = 7;
SELECT model, alias, version FROM mlops.alias WHERE model = 'named';
SELECT model, version, fallback FROM mlops_status() WHERE model = 'named';

-- moved, used in a transaction, removed
BEGIN;
SELECT mlops_set_alias('named', 'fallback', 1);
SELECT mlops_predict('named@fallback', p) = mlops_predict('named/1', p) AS fallback_is_1 FROM points AS p WHERE x = 7;
ROLLBACK;
SELECT version FROM mlops.alias WHERE model = 'named';
SELECT mlops_set_alias('named', 'fallback', NULL);
SELECT mlops_set_alias('named', 'fallback', NULL);
SELECT count(*) AS aliases FROM mlops.alias WHERE model = 'named';

-- What is refused
SELECT mlops_predict('named@fallback', p) FROM points AS p WHERE x = 7;
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_set_alias('named', 'best', 2);
SELECT mlops_predict('named@bets', p) FROM points AS p WHERE x = 7;
SELECT mlops_set_alias('named', 'best', 3);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_set_alias('named', 'active', 2);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_set_alias('named', 'shadow.b', 2);
SELECT mlops_set_alias('named', 'a/b', 2);
SELECT mlops_set_alias('named', NULL, 2);
SELECT mlops_set_alias('nobody', 'best', 2);

SELECT mlops_drop_model('named', force => true);
SET client_min_messages = error;
DROP SCHEMA ml_alias CASCADE;
