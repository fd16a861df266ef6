-- A version serves when mlops_promote makes it the active one, and only then:
-- training never changes what serves. A promotion is part of the transaction
-- that it is in. The bundle that serves is a version and, for two classes, the
-- threshold from which a row counts as positive.
CREATE SCHEMA ml_promote;
SET search_path = ml_promote;
\set SHOW_CONTEXT never
CREATE TABLE visit AS SELECT i AS n, i % 7 AS pages, i * 5 % 13 > 5 AS bought FROM generate_series(1, 80) AS i;
SET client_min_messages = error;
SELECT mlops_train_now('buys', 'visit', 'bought') AS version;
SELECT mlops_train_now('buys', 'visit', 'bought', params => '{"l2": 1}') AS version;
RESET client_min_messages;

-- two versions, nothing serves
SELECT count(*) AS serving FROM mlops.serving WHERE model = 'buys';
SELECT mlops_predict('buys', '{"n": 1, "pages": 1}'::json);

-- one call, and the threshold that was chosen is named
SELECT model, version, threshold, share, deployment, previous_version FROM mlops_promote('buys', 1, reason => 'first');
SELECT mlops_predict('buys', '{"n": 1, "pages": 1}'::json) = mlops_predict('buys/1', '{"n": 1, "pages": 1}'::json) AS follows;
SELECT version, threshold, deployment, previous_version FROM mlops_promote('buys', 2, threshold => 0.3);
SELECT mlops_predict('buys', '{"n": 1, "pages": 1}'::json) = mlops_predict('buys/2', '{"n": 1, "pages": 1}'::json) AS follows;

-- a version that served before comes back with its threshold; a training changes nothing
SELECT version, threshold FROM mlops_promote('buys', 1);
SELECT version, threshold FROM mlops_promote('buys', 2);
SET client_min_messages = error;
SELECT mlops_train_now('buys', 'visit', 'bought') AS version;
RESET client_min_messages;
SELECT version, threshold, deployment FROM mlops.serving WHERE model = 'buys';

-- promoting what serves already changes nothing; another threshold is another bundle
SELECT version, deployment FROM mlops_promote('buys', 2);
SELECT version, threshold, deployment, previous_version FROM mlops_promote('buys', 2, threshold => 0.4);

-- a transaction that is rolled back leaves no trace
BEGIN;
SELECT version, deployment FROM mlops_promote('buys', 3, threshold => 0.5);
SELECT version FROM mlops.serving WHERE model = 'buys';
ROLLBACK;
SELECT version, deployment FROM mlops.serving WHERE model = 'buys';
BEGIN;
SAVEPOINT before;
SELECT version, deployment FROM mlops_promote('buys', 3, threshold => 0.5);
ROLLBACK TO before;
COMMIT;
SELECT version, deployment FROM mlops.serving WHERE model = 'buys';

-- the history says who, from, to, why, in the order of the lock
SELECT number, action, version, threshold, from_version, forced, reason FROM mlops.deployment WHERE model = 'buys' ORDER BY number;
SELECT bool_and(deployed_at >= earlier) AS in_order
  FROM (SELECT deployed_at, lag(deployed_at) OVER (ORDER BY number) AS earlier FROM mlops.deployment WHERE model = 'buys') AS d;
SELECT model, version, threshold, algorithm, metric, value BETWEEN 0 AND 1 AS measured, versions, last_run, fallback
  FROM mlops_status() WHERE model = 'buys';

-- compare and swap: expect is the version that one believes to be active
SELECT version FROM mlops_promote('buys', 1, expect => 2);
SELECT version FROM mlops_promote('buys', 3, expect => 2);
\echo :LAST_ERROR_SQLSTATE

-- prepared statements with generic plans follow at their next execution
SET plan_cache_mode = force_generic_plan;
PREPARE score AS SELECT mlops_predict('buys', v) = mlops_predict('buys/1', v) AS by_1,
                        mlops_predict('buys', v) = mlops_predict('buys/2', v) AS by_2 FROM visit AS v WHERE n = 9;
EXECUTE score;
SELECT version FROM mlops_promote('buys', 2);
EXECUTE score;
RESET plan_cache_mode;

-- What is refused: a version that is not there, was dropped, or whose training failed
SELECT mlops_promote('buys', 9);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_drop_version('buys', 3, reason => 'worse than 2');
SELECT mlops_promote('buys', 3);
SET client_min_messages = error;
CALL mlops_train('buys', 'SELECT * FROM visit WHERE bought', 'bought');
RESET client_min_messages;
SELECT mlops_promote('buys', 4);
SELECT mlops_promote('sells', 1);

-- a threshold out of range, or for a model that has none
SELECT mlops_promote('buys', 1, threshold => 1.5);
SELECT mlops_promote('buys', 1, threshold => 'NaN');
SET client_min_messages = error;
SELECT mlops_train_now('pages', 'visit', 'pages', exclude => ARRAY['bought']) AS version;
RESET client_min_messages;
SELECT mlops_promote('pages', 1, threshold => 0.5);
SELECT version, threshold FROM mlops_promote('pages', 1);

-- a share of nothing, rules that are not there, and force without a reason
SELECT mlops_promote('buys', 1, share => 0);
SELECT mlops_promote('buys', 1, rules => 1);
SELECT mlops_promote('buys', 1, force => true);
SELECT mlops_promote('buys', NULL);
SELECT version FROM mlops_promote('buys', 1, rules => 0, force => true, reason => 'the campaign starts');
SELECT forced, reason FROM mlops.deployment WHERE model = 'buys' ORDER BY number DESC LIMIT 1;

-- a read-only transaction can score but not decide
BEGIN READ ONLY;
SELECT mlops_predict('buys', '{"n": 1, "pages": 1}'::json) IS NOT NULL AS scores;
SELECT mlops_promote('buys', 2);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

SELECT mlops_drop_model('buys', force => true), mlops_drop_model('pages', force => true);
SET client_min_messages = error;
DROP SCHEMA ml_promote CASCADE;
