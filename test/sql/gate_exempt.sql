-- Going back asks no gate exactly where it is safe: a rollback never does, and
-- a version that served all rows, with the threshold that it serves with now,
-- comes back without its gates - unless a rollback took it down since, or went
-- back past it. Everything else is asked.
CREATE SCHEMA ml_gate_exempt;
SET search_path = ml_gate_exempt;
\set SHOW_CONTEXT never
CREATE TABLE visit AS SELECT i AS n, i % 7 AS pages, i * 5 % 13 > 5 AS bought FROM generate_series(1, 80) AS i;
CREATE TABLE allowed (version int);
SET client_min_messages = error;
SELECT count(mlops_train_now('buys', 'visit', 'bought', params => jsonb_build_object('l2', i))) AS trained FROM generate_series(1, 4) AS i;
RESET client_min_messages;
SELECT mlops_set_gate('buys', 'allowed', query => $$SELECT count(*) > 0, count(*) || ' permits' FROM allowed WHERE version = $2$$);

-- three serve one after the other
INSERT INTO allowed VALUES (1), (2), (3);
SELECT version FROM mlops_promote('buys', 1, threshold => 0.5);
SELECT version FROM mlops_promote('buys', 2, threshold => 0.5);
SELECT version FROM mlops_promote('buys', 3, threshold => 0.5);
TRUNCATE allowed;

-- 2 was replaced by a promotion: it comes back without its gate
SELECT version FROM mlops_promote('buys', 2);
-- another threshold is another bundle, which has not served
SELECT version FROM mlops_promote('buys', 2, threshold => 0.3);

-- a rollback asks nobody
SELECT version FROM mlops_rollback('buys');
-- it took 2 down: promote 2, roll back, promote 2 is asked
SELECT version FROM mlops_promote('buys', 2);
-- 3 serves, so that nothing changes; 1 was replaced by a promotion long ago
SELECT version FROM mlops_promote('buys', 3);
SELECT version FROM mlops_promote('buys', 1);

-- a rollback of two steps goes past 3: it is asked, and 1, which it took down, too
SELECT version FROM mlops_rollback('buys', steps => 2);
SELECT number, action, version FROM mlops.deployment WHERE model = 'buys' ORDER BY number;
SELECT version FROM mlops_promote('buys', 3);
SELECT version FROM mlops_promote('buys', 1);

-- what never served is asked
SELECT version FROM mlops_promote('buys', 4);

-- the rows below a gate are read in the promotion's own transaction
BEGIN;
INSERT INTO allowed VALUES (4);
SELECT version FROM mlops_promote('buys', 4, threshold => 0.5);
ROLLBACK;
SELECT version FROM mlops.serving WHERE model = 'buys';

SELECT mlops_drop_model('buys', force => true);
DROP SCHEMA ml_gate_exempt CASCADE;
