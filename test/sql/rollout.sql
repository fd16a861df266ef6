-- mlops_create_rollout(): a version is brought out in steps. The tick moves a rollout on when its step has lasted long
-- enough, has seen enough and its gates pass, and takes the canary back when it is worse, when the keys are not split
-- as they should be, or when a gate fails. Times are given, so that none depends on a clock.

CREATE SCHEMA rollout_test;
SET search_path = rollout_test;
\set SHOW_CONTEXT never
SET client_min_messages = error;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SET IntervalStyle = 'postgres';
CREATE TABLE customer AS
SELECT i AS id, i % 10 AS calls, CASE WHEN i % 10 + i % 3 > 6 THEN 'yes' ELSE 'no' END AS left_us FROM generate_series(1, 60) AS i;
SELECT mlops_create_model('river', positive => 'yes', metric => 'accuracy');
SELECT mlops_train_now('river', 'customer', 'left_us', features => '{calls}', algorithm => 'baseline', seed => i) AS version FROM generate_series(1, 3) AS i;
SELECT version FROM mlops_promote('river', 1);
CREATE TABLE committee (says boolean, why text);
INSERT INTO committee VALUES (true, 'we like it');
SELECT mlops_set_gate('river', 'committee', query => 'SELECT says, why FROM committee');
RESET client_min_messages;

-- calls as they would be logged while the newest deployment serves, each key on its side, and outcomes: the active version is right
-- for 8 in 10 keys, the canary as often as is said
CREATE FUNCTION served(from_key int, to_key int, at timestamptz, canary int DEFAULT 8, every int DEFAULT 10, outcomes boolean DEFAULT true) RETURNS bigint LANGUAGE sql
AS $$INSERT INTO mlops_catalog.prediction (model, key, at, prediction, label, version, role, deployment)
     SELECT 'river', 'k' || i, at, 0.7, 'yes', CASE WHEN i % every = 0 THEN d.version ELSE 1 END, CASE WHEN i % every = 0 THEN 'canary' ELSE 'active' END, CASE WHEN i % every = 0 THEN d.number ELSE d.from_deployment END
       FROM generate_series(from_key, to_key) AS i, (SELECT version, number, from_deployment FROM mlops.deployment WHERE model = 'river' ORDER BY number DESC LIMIT 1) AS d;
     SELECT count(mlops_record_outcome('river', 'k' || i, CASE WHEN i / every % 10 < CASE WHEN i % every = 0 THEN canary ELSE 8 END THEN 'yes' ELSE 'no' END, at + interval '1 hour'))
       FROM generate_series(from_key, to_key) AS i WHERE outcomes$$;

-- ---- steps of growing shares, the last of which is everybody ----
SELECT mlops_create_rollout('river', 2, '[
    {"name": "friends", "share": 0.1, "min_time": "1 day", "min_rows": 50, "min_outcomes": 50},
    {"name": "half", "share": 0.5, "gates": ["committee"]},
    {"share": 1}]', reason => 'new features', as_of => '2030-01-01') AS rollout;
SELECT rollout, version, state, step, step_name, share, steps, waits_for, reason, created_at FROM mlops.rollout WHERE model = 'river';
SELECT step, name, share, min_time, min_rows, min_outcomes, gates, compare, entered_at, deployment, verdict FROM mlops.rollout_step WHERE model = 'river' ORDER BY step;
-- the first step serves at once; the history says whose promotion it is
SELECT version, share, reason FROM mlops.deployment WHERE model = 'river' ORDER BY number DESC LIMIT 1;

-- the tick looks, and says what is waited for: time, calls of the canary, outcomes of them
CALL mlops_tick(as_of => '2030-01-01 12:00');
SELECT state, step, waits_for, looked_at FROM mlops.rollout WHERE model = 'river';
CALL mlops_tick(as_of => '2030-01-02');
SELECT waits_for FROM mlops.rollout WHERE model = 'river';
SELECT served(1, 1000, '2030-01-02 01:00', outcomes => false);
CALL mlops_tick(as_of => '2030-01-02 02:00');
SELECT waits_for FROM mlops.rollout WHERE model = 'river';
-- a clock that steps back moves nothing
SELECT served(1, 1000, '2030-01-02 03:00');
CALL mlops_tick(as_of => '2030-01-01 12:00');
SELECT waits_for FROM mlops.rollout WHERE model = 'river';
CALL mlops_tick(as_of => '2030-01-03');
SELECT state, step, step_name, share, waits_for FROM mlops.rollout WHERE model = 'river';
SELECT name, entered_at, left_at, deployment, verdict, seen - 'low' - 'high' - 'p_value' AS seen FROM mlops.rollout_step WHERE model = 'river' AND entered_at IS NOT NULL ORDER BY step;

-- a gate that raises, or cannot be heard, is closed: the rollout would be taken back. Here it passes, and everybody is served
CALL mlops_tick(as_of => '2030-01-04');
SELECT state, step, step_name, ended_at FROM mlops.rollout WHERE model = 'river';
SELECT version, canary_version FROM mlops.serving WHERE model = 'river';
SELECT action, version, share, reason FROM mlops.deployment WHERE model = 'river' ORDER BY number;
-- and then there is no more to do
CALL mlops_tick(as_of => '2030-01-05');

-- ---- a gate that cannot tell is waited for: here one that is not there any more ----
SET client_min_messages = error;
SELECT version FROM mlops_promote('river', 1);
SELECT mlops_set_gate('river', 'auditor', query => 'SELECT true, NULL::text');
SELECT mlops_create_rollout('river', 2, '[{"share": 0.1, "gates": ["committee", "auditor"]}, {"share": 1}]', as_of => '2030-01-20') AS rollout;
SELECT mlops_drop_gate('river', 'auditor');
CALL mlops_tick(as_of => '2030-01-21');
SELECT state, step, waits_for FROM mlops.rollout WHERE model = 'river' ORDER BY rollout DESC LIMIT 1;
-- a tick that is cancelled, here while a gate is heard, has done nothing
CREATE TABLE patience (seconds float8);
INSERT INTO patience VALUES (0);
SELECT mlops_set_gate('river', 'auditor', query => 'SELECT pg_sleep(seconds) IS NOT NULL, NULL::text FROM patience');
UPDATE patience SET seconds = 60;
SET statement_timeout = '500ms';
CALL mlops_tick(as_of => '2030-01-21 12:00');
\echo :LAST_ERROR_SQLSTATE
RESET statement_timeout;
SELECT state, step, looked_at FROM mlops.rollout WHERE model = 'river' ORDER BY rollout DESC LIMIT 1;
SELECT mlops_drop_gate('river', 'auditor');
SELECT mlops_stop_rollout('river', as_of => '2030-01-22');
SELECT version FROM mlops_rollback('river');
RESET client_min_messages;

-- ---- what ends a rollout: a gate that fails ----
SET client_min_messages = error;
SELECT version FROM mlops_promote('river', 1);
SELECT mlops_create_rollout('river', 3, '[{"share": 0.1, "gates": ["committee"]}, {"share": 1}]', as_of => '2030-02-01') AS rollout;
RESET client_min_messages;
UPDATE committee SET says = false, why = 'we have seen it';
CALL mlops_tick(as_of => '2030-02-02');
SELECT state, end_reason, ended_at FROM mlops.rollout WHERE model = 'river' AND rollout = 3;
SELECT step, verdict FROM mlops.rollout_step WHERE model = 'river' AND rollout = 3 ORDER BY step;
SELECT version, canary_version FROM mlops.serving WHERE model = 'river';
SELECT action, version, reason FROM mlops.deployment WHERE model = 'river' ORDER BY number DESC LIMIT 1;
UPDATE committee SET says = true;

-- a canary that is worse: nobody waits for the step's time
SET client_min_messages = error;
SELECT mlops_create_rollout('river', 3, '[{"share": 0.1, "min_time": "1 month"}, {"share": 1}]', as_of => '2030-03-01') AS rollout;
RESET client_min_messages;
SELECT served(1, 3000, '2030-03-01 01:00', canary => 5);
CALL mlops_tick(as_of => '2030-03-02');
SELECT state, end_reason FROM mlops.rollout WHERE model = 'river' AND rollout = 4;
SELECT seen -> 'canary' ->> 'outcomes' AS outcomes, seen ->> 'verdict' AS verdict, verdict AS step FROM mlops.rollout_step WHERE model = 'river' AND rollout = 4 AND step = 1;
-- unless it does not matter: business metrics, say, are looked at otherwise
SET client_min_messages = error;
SELECT mlops_create_rollout('river', 3, '[{"share": 0.1, "compare": "off", "min_time": "1 month"}, {"share": 1}]', as_of => '2030-03-03') AS rollout;
RESET client_min_messages;
SELECT served(1, 3000, '2030-03-03 01:00', canary => 5);
CALL mlops_tick(as_of => '2030-03-04');
SELECT state, waits_for FROM mlops.rollout WHERE model = 'river' AND rollout = 5;

-- a split that is broken: a fifth of the keys got the canary instead of a tenth
SELECT served(10001, 13000, '2030-03-05', canary => 5, every => 3);
CALL mlops_tick(as_of => '2030-03-06');
SELECT state, end_reason FROM mlops.rollout WHERE model = 'river' AND rollout = 5;

-- to be shown to be better is more than not to be shown to be worse
SET client_min_messages = error;
SELECT mlops_create_rollout('river', 3, '[{"share": 0.1, "compare": "better"}, {"share": 1}]', as_of => '2030-04-01') AS rollout;
RESET client_min_messages;
SELECT served(1, 3000, '2030-04-01 01:00');
CALL mlops_tick(as_of => '2030-04-02');
SELECT state, waits_for FROM mlops.rollout WHERE model = 'river' AND rollout = 6;
SELECT served(3001, 6000, '2030-04-02 01:00', canary => 10);
CALL mlops_tick(as_of => '2030-04-03');
SELECT state, step FROM mlops.rollout WHERE model = 'river' AND rollout = 6;

-- ---- somebody else decides: the rollout ends and says so ----
SET client_min_messages = error;
SELECT version FROM mlops_promote('river', 1);
SELECT mlops_create_rollout('river', 3, '[{"share": 0.1}, {"share": 1}]', as_of => '2030-05-01') AS rollout;
SELECT version FROM mlops_rollback('river', reason => 'customers complain');
CALL mlops_tick(as_of => '2030-05-02');
RESET client_min_messages;
SELECT state, end_reason = format('somebody else has decided what serves; deployment %s: %s rolled back to version 1: customers complain', d.number, d.deployed_by) AS says_who
  FROM mlops.rollout AS r, LATERAL (SELECT * FROM mlops.deployment WHERE model = 'river' ORDER BY number DESC LIMIT 1) AS d WHERE r.model = 'river' AND rollout = 7;

-- or stops it: the canary goes on
SET client_min_messages = error;
SELECT mlops_create_rollout('river', 3, '[{"share": 0.25}, {"share": 1}]', as_of => '2030-06-01') AS rollout;
RESET client_min_messages;
SELECT mlops_stop_rollout('river', reason => 'holidays', as_of => '2030-06-02');
SELECT state, end_reason, ended_at FROM mlops.rollout WHERE model = 'river' AND rollout = 8;
SELECT version, canary_version, canary_share FROM mlops.serving WHERE model = 'river';
SELECT mlops_stop_rollout('river');
\echo :LAST_ERROR_SQLSTATE
SET client_min_messages = error;
SELECT version FROM mlops_rollback('river');
RESET client_min_messages;

-- ---- who: the tick promotes as the author of the rollout, who must still be allowed to ----
CREATE ROLE regress_mlops_roller;
SELECT mlops_grant('river', 'regress_mlops_roller', 'promote'), mlops_grant('river', 'regress_mlops_roller', 'read');
GRANT USAGE ON SCHEMA rollout_test TO regress_mlops_roller;
SET ROLE regress_mlops_roller;
SET client_min_messages = error;
SELECT mlops_create_rollout('river', 3, '[{"share": 0.1}, {"share": 0.2}, {"share": 1}]', as_of => '2030-07-01') AS rollout;
RESET client_min_messages;
RESET ROLE;
CALL mlops_tick(as_of => '2030-07-02');
SELECT step, deployment IS NOT NULL AS deployed, (SELECT d.deployed_by FROM mlops.deployment AS d WHERE d.model = s.model AND d.number = s.deployment)
  FROM mlops.rollout_step AS s WHERE model = 'river' AND rollout = 9 ORDER BY step;
SELECT mlops_revoke('river', 'regress_mlops_roller', 'promote');
CALL mlops_tick(as_of => '2030-07-03');
SELECT state, end_reason FROM mlops.rollout WHERE model = 'river' AND rollout = 9;
SET client_min_messages = error;
SELECT version FROM mlops_rollback('river');
RESET client_min_messages;

-- time that runs ahead of the clock is of those who may promote: others have it as it is
SELECT mlops_grant('river', 'regress_mlops_roller', 'train');
SET client_min_messages = error;
SELECT mlops_create_rollout('river', 3, '[{"share": 0.1, "min_time": "1 day"}, {"share": 1}]', as_of => now()) AS rollout;
SET ROLE regress_mlops_roller;
CALL mlops_tick(as_of => now() + interval '2 days');
RESET ROLE;
SELECT state, step, left(waits_for, 5) AS waits_for, looked_at <= clock_timestamp() AS by_the_clock FROM mlops.rollout WHERE model = 'river' ORDER BY rollout DESC LIMIT 1;
CALL mlops_tick(as_of => now() + interval '2 days');
SELECT state, step FROM mlops.rollout WHERE model = 'river' ORDER BY rollout DESC LIMIT 1;
SELECT version FROM mlops_rollback('river');
RESET client_min_messages;
SELECT mlops_revoke('river', 'regress_mlops_roller', 'train');

-- ---- what is refused ----
SET ROLE regress_mlops_roller;
SELECT mlops_create_rollout('river', 3, '[{"share": 0.1}, {"share": 1}]');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_stop_rollout('river');
RESET ROLE;
SELECT mlops_revoke('river', 'regress_mlops_roller', 'read');
REVOKE USAGE ON SCHEMA rollout_test FROM regress_mlops_roller;
DROP ROLE regress_mlops_roller;
SELECT mlops_create_rollout('river', 3, '[]');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_create_rollout('river', 3, '{"share": 0.1}');
SELECT mlops_create_rollout('river', 3, '[{"share": 1}]');
SELECT mlops_create_rollout('river', 3, '[0.1, 1]');
SELECT mlops_create_rollout('river', 3, '[{"name": "a"}, {"share": 1}]');
SELECT mlops_create_rollout('river', 3, '[{"share": 0}, {"share": 1}]');
SELECT mlops_create_rollout('river', 3, '[{"share": 0.1}, {"share": 1.5}]');
SELECT mlops_create_rollout('river', 3, '[{"share": 0.5}, {"share": 0.5}, {"share": 1}]');
SELECT mlops_create_rollout('river', 3, '[{"share": 0.1}, {"share": 0.5}]');
SELECT mlops_create_rollout('river', 3, '[{"share": 0.1}, {"share": 1, "min_rows": 5}]');
SELECT mlops_create_rollout('river', 3, '[{"share": 0.1, "min_row": 5}, {"share": 1}]');
SELECT mlops_create_rollout('river', 3, '[{"share": 0.1, "min_rows": 1.5}, {"share": 1}]');
SELECT mlops_create_rollout('river', 3, '[{"share": 0.1, "min_time": "soon"}, {"share": 1}]');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_create_rollout('river', 3, '[{"share": 0.1, "min_time": "-1 day"}, {"share": 1}]');
SELECT mlops_create_rollout('river', 3, '[{"share": 0.1, "compare": "worse"}, {"share": 1}]');
SELECT mlops_create_rollout('river', 3, '[{"share": 0.1, "gates": ["comittee"]}, {"share": 1}]');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_create_rollout('river', 3, '[{"share": 0.1}, {"share": 1}]', as_of => 'infinity');
SELECT mlops_create_rollout('river', 7, '[{"share": 0.1}, {"share": 1}]');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_create_rollout('river', 1, '[{"share": 0.1}, {"share": 1}]');
\echo :LAST_ERROR_SQLSTATE
-- a gate that does not let the version in leaves nothing behind
UPDATE committee SET says = false;
SELECT mlops_create_rollout('river', 3, '[{"share": 0.1}, {"share": 1}]');
\echo :LAST_ERROR_SQLSTATE
UPDATE committee SET says = true;
SELECT max(rollout) FROM mlops.rollout WHERE model = 'river';
-- one at a time
SET client_min_messages = error;
SELECT mlops_create_rollout('river', 3, '[{"share": 0.1}, {"share": 1}]', as_of => '2030-08-01') AS rollout;
RESET client_min_messages;
SELECT mlops_create_rollout('river', 3, '[{"share": 0.1}, {"share": 1}]', as_of => '2030-08-01');
\echo :LAST_ERROR_SQLSTATE
-- what has no outcomes can be rolled out only if they are not asked for
SET client_min_messages = error;
SELECT mlops_train_now('river_clusters', 'SELECT calls, id FROM customer', algorithm => 'kmeans', params => '{"k": 2}', seed => i) AS version FROM generate_series(1, 2) AS i;
SELECT version FROM mlops_promote('river_clusters', 1);
RESET client_min_messages;
SELECT mlops_create_rollout('river_clusters', 2, '[{"share": 0.1}, {"share": 1}]');
\echo :LAST_ERROR_SQLSTATE
SET client_min_messages = error;
SELECT mlops_create_rollout('river_clusters', 2, '[{"share": 0.1, "compare": "off"}, {"share": 1}]', as_of => '2030-08-01') AS rollout;
CALL mlops_tick(as_of => '2030-08-02');
SELECT model, state, step FROM mlops.rollout WHERE created_at = '2030-08-01' ORDER BY model;

SELECT mlops_drop_model('river', force => true), mlops_drop_model('river_clusters', force => true);
SELECT count(*) FROM mlops.rollout;
DROP SCHEMA rollout_test CASCADE;
