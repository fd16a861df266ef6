-- A gate can be a query of the owner's that answers whether a version passes
-- and why. It gets the model's name as $1 and the version as $2, runs as its
-- author, read-only, for a bounded time; whatever goes wrong in it keeps the
-- gate closed. A promotion that a gate refuses has SQLSTATE ML001.
CREATE SCHEMA ml_gate_query;
SET search_path = ml_gate_query;
\set SHOW_CONTEXT never
CREATE TABLE visit AS SELECT i AS n, i % 7 AS pages, i * 5 % 13 > 5 AS bought FROM generate_series(1, 80) AS i;
SET client_min_messages = error;
SELECT mlops_train_now('buys', 'visit', 'bought', params => jsonb_build_object('l2', i)) AS version FROM generate_series(1, 4) AS i;
RESET client_min_messages;

-- without a gate a promotion says that nothing was asked
SELECT version FROM mlops_promote('buys', 1, threshold => 0.5);

-- a query over any table, and over what the version would say
SELECT mlops_set_gate('buys', 'enough buyers', query => $$
    SELECT count(*) BETWEEN 10 AND 80, 'it would call ' || count(*) || ' of 80 visitors'
      FROM visit AS v WHERE mlops_predict($1 || '/' || $2, v) > 0.3 $$);
SELECT mlops_set_gate('buys', 'even', query => $$SELECT $2 % 2 = 0, 'version ' || $2 || ' of ' || $1$$);
SELECT name, query IS NOT NULL AS query, severity, timeout_ms, author = current_user AS own FROM mlops.gate WHERE model = 'buys' ORDER BY name;

-- the dry run says what the gates would say; a promotion asks them
SELECT gate, verdict, severity, metric, explanation FROM mlops_check_gates('buys', 3) ORDER BY gate;
SELECT version FROM mlops_promote('buys', 3);
\echo :LAST_ERROR_SQLSTATE
SELECT version FROM mlops_promote('buys', 2);
SELECT number, version, e ->> 'gate' AS gate, e ->> 'verdict' AS verdict, e ->> 'explanation' AS explanation
  FROM mlops.deployment, jsonb_array_elements(evidence -> 'gates') AS e WHERE model = 'buys' ORDER BY number, gate;

-- a warning lets it pass
SELECT mlops_set_gate('buys', 'even', severity => 'warn', query => $$SELECT $2 % 2 = 0, 'version ' || $2 || ' of ' || $1$$);
BEGIN;
SELECT version FROM mlops_promote('buys', 3);
ROLLBACK;

-- force needs a reason, and the history says for ever that it was used, and against what
SELECT mlops_set_gate('buys', 'even', query => $$SELECT $2 % 2 = 0$$);
SELECT version FROM mlops_promote('buys', 3, force => true);
SELECT version FROM mlops_promote('buys', 3, force => true, reason => 'the campaign starts today');
SELECT number, version, forced, reason, jsonb_path_query_array(evidence, '$.gates[*] ? (@.verdict == "fail").gate') AS failed
  FROM mlops.deployment WHERE model = 'buys' ORDER BY number DESC LIMIT 1;

-- what goes wrong keeps the gate closed: an error, no answer, several, NULL, too long, a write
SELECT mlops_set_gate('buys', 'a error', query => $$SELECT 1 / ($2 - $2) = 0$$);
SELECT mlops_set_gate('buys', 'b no row', query => $$SELECT true WHERE false$$);
SELECT mlops_set_gate('buys', 'c two rows', query => $$SELECT true FROM generate_series(1, 2)$$);
SELECT mlops_set_gate('buys', 'd null', query => $$SELECT NULL::boolean$$);
SELECT mlops_set_gate('buys', 'e slow', timeout => '50 milliseconds', query => $$SELECT pg_sleep(20) IS NOT NULL$$);
SELECT mlops_set_gate('buys', 'f write', query => $$SELECT mlops_drop_gate($1, 'even') IS NOT NULL$$);
SELECT mlops_set_gate('buys', 'g table', query => $$SELECT count(*) > 0 FROM gone_later$$);
CREATE TABLE gone_later AS SELECT 1 AS n;
SELECT mlops_set_gate('buys', 'g table', query => $$SELECT count(*) > 0 FROM gone_later$$);
DROP TABLE gone_later;
SELECT gate, verdict, explanation FROM mlops_check_gates('buys', 4) ORDER BY gate;

-- a query that catches what ends it answers too late, also where it has asked other gates, which share its time
CREATE FUNCTION goes_on() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    BEGIN PERFORM pg_sleep(20); EXCEPTION WHEN query_canceled THEN NULL; END;
    RETURN true;
END $$;
SET client_min_messages = error;
SELECT mlops_train_now('late', 'visit', 'bought', params => '{"l2": 1}') > 0 AS trained;
RESET client_min_messages;
SELECT mlops_set_gate('late', 'h late', timeout => '50 milliseconds', query => $$SELECT goes_on(), 'all is well'$$);
SELECT mlops_set_gate('late', 'i asks', timeout => '50 milliseconds', query => $$SELECT bool_and(goes_on()) FROM mlops_check_gates('buys', 2) WHERE gate = 'even'$$);
SELECT gate, verdict, explanation FROM mlops_check_gates('late', 1) ORDER BY gate;
SELECT mlops_drop_model('late') IS NOT NULL AS dropped;
DROP FUNCTION goes_on;

-- what it says is what its author wrote, whatever the caller makes of = NULL
SELECT mlops_set_gate('buys', 'f null', query => $$SELECT count(*) = 0 FROM visit WHERE (n = NULL) IS NOT NULL$$);
SET transform_null_equals = on;
SELECT verdict FROM mlops_check_gates('buys', 4) WHERE gate = 'f null';
RESET transform_null_equals;
SELECT mlops_drop_gate('buys', 'f null');

-- a cancel is nobody's verdict: the statement ends
SET statement_timeout = '100ms';
SELECT mlops_set_gate('buys', 'e slow', timeout => '1 hour', query => $$SELECT pg_sleep(20) IS NOT NULL$$);
SELECT count(*) FROM mlops_check_gates('buys', 4);
RESET statement_timeout;

-- What is refused: a gate that is no query of that kind, or of nothing
SELECT mlops_set_gate('buys', 'two', query => $$SELECT true; SELECT false$$);
SELECT mlops_set_gate('buys', 'typed', query => $$SELECT 1$$);
SELECT mlops_set_gate('buys', 'typed', query => $$SELECT true, 1$$);
SELECT mlops_set_gate('buys', 'wide', query => $$SELECT true, 'x', 'y'$$);
SELECT mlops_set_gate('buys', 'wrong', query => $$SELEC true$$);
SELECT mlops_set_gate('buys', 'writes', query => $$DELETE FROM visit$$);
SELECT mlops_set_gate('buys', 'nothing');
SELECT mlops_set_gate('buys', 'both', metric => 'roc_auc', query => $$SELECT true$$);
SELECT mlops_set_gate('buys', 'bounded', minimum => 1, query => $$SELECT true$$);
SELECT mlops_set_gate('buys', 'late', timeout => '2 hours', query => $$SELECT true$$);
SELECT mlops_set_gate('buys', 'grave', severity => 'fatal', query => $$SELECT true$$);
SELECT mlops_drop_gate('buys', 'evn');
SELECT mlops_set_gate('sells', 'even', query => $$SELECT true$$);

SELECT mlops_drop_gate('buys', 'even');
SELECT mlops_drop_model('buys', force => true);
SELECT count(*) AS gates_left FROM mlops.gate;
DROP SCHEMA ml_gate_query CASCADE;
