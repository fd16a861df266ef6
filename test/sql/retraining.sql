-- Policies of training again: a tick trains a model at an interval, after so many new labels, or when its
-- primary metric has dropped; from a window of time that moves along; as the policy's author. What comes of it
-- is judged on the model's validation sets and serves, if the policy says so, through the gates. All times are
-- given: nothing depends on the clock.

CREATE SCHEMA retraining_test;
SET search_path = retraining_test;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
\set SHOW_CONTEXT never
SET client_min_messages = warning;

-- who buys follows pages; from the 1st of March on it is the other way around
CREATE TABLE visit AS
SELECT i AS id, timestamptz '2026-01-01' + i * interval '1 hour' AS at, i * 7 % 11 AS pages, i * 37 % 9973 / 9973.0::float8 AS noise,
       CASE WHEN timestamptz '2026-01-01' + i * interval '1 hour' < '2026-03-01' THEN 1 ELSE -1 END * (i * 7 % 11 - 5) + (i * 13 % 7 - 3) > 0 AS bought
  FROM generate_series(0, 24 * 180 - 1) AS i;
SELECT mlops_create_model('buys', target => 'bought', metric => 'roc_auc');
SELECT mlops_train_now('buys', $$SELECT * FROM visit WHERE at < '2026-02-01'$$, 'bought', features => '{pages, noise}', time_column => 'at', params => '{"l2": 1}') AS version;
SELECT version FROM mlops_promote('buys', 1);
SELECT mlops_create_validation_set('buys', 'week', 'visit', key => 'id', time_column => 'at', period => '7 days');

-- ---- at an interval, from a window that moves along ----
SELECT mlops_set_retraining('buys', every => '30 days', changes => '{"source": "visit"}', period => '28 days', as_of => '2026-02-01');
SELECT every, changes, promote, period, time_column, label_delay, pause, author = current_user AS mine, as_of FROM mlops.retraining_policy;
CALL mlops_tick('2026-02-15');
SELECT count(*) FROM mlops.retraining;
CALL mlops_tick('2026-03-03');
SELECT number, why, as_of, status, from_version, version, deployment, trained_by = current_user AS mine FROM mlops.retraining;
-- the spec says from which rows, so that the version can be made again; what was active still is
SELECT version, spec ->> 'source' AS source, spec ->> 'since' AS since, spec ->> 'until' AS until, time_from, time_to, rows_read, note
  FROM mlops.version WHERE model = 'buys' AND version = 2;
CALL mlops_reproduce('buys/2');
SELECT version FROM mlops.serving WHERE model = 'buys';
-- it was judged on the newest edition, where no row was in its training part
SELECT version, validation_set, n, seen FROM mlops.evaluation WHERE model = 'buys' AND version = 2 AND metric = 'roc_auc' AND slice = '';
-- the next one is 30 days after it; a clock that steps back asks for nothing
CALL mlops_tick('2026-03-04');
CALL mlops_tick('2026-02-20');
SELECT count(*) FROM mlops.retraining;

-- ---- through the gates ----
SELECT mlops_set_gate('buys', 'better', metric => 'roc_auc', min_gain => 0.1, min_rows => 20);
SELECT mlops_set_retraining('buys', every => '30 days', changes => '{"source": "visit"}', period => '28 days', promote => true, as_of => '2026-02-01');
SELECT mlops_request_retraining('buys', 'too early');
-- most of the window is of the world before: the gate refuses what comes of it, and nothing is raised
CALL mlops_tick('2026-03-06');
SELECT number, status, version, deployment, sqlstate, message, left(detail, 39) || '...' AS detail FROM mlops.retraining WHERE number = 2;
-- a month later it passes, and serves; the history says why
CALL mlops_tick('2026-04-05');
SELECT number, status, from_version, version, deployment FROM mlops.retraining WHERE number = 3;
SELECT number, action, version, reason, deployed_by = current_user AS mine, jsonb_array_length(evidence -> 'gates') AS gates FROM mlops.deployment WHERE model = 'buys' ORDER BY number;

-- ---- after so many new labels ----
SELECT mlops_set_retraining('buys', new_labels => 50, changes => '{"source": "visit"}', period => '28 days', as_of => '2026-05-03');
SELECT count(mlops_record_outcome('buys', 'v' || i, 'true', timestamptz '2026-05-04' + i * interval '1 hour')) FROM generate_series(1, 60) AS i;
-- as it was known then: 48 outcomes
CALL mlops_tick('2026-05-06');
CALL mlops_tick('2026-05-07');
SELECT number, why, status, version FROM mlops.retraining WHERE number > 3;
-- they count once
CALL mlops_tick('2026-05-09');
SELECT count(*) FROM mlops.retraining;

-- ---- when the live metric dropped ----
SELECT version FROM mlops_promote('buys', 1, force => true, reason => 'to see it fail');
UPDATE mlops_catalog.model SET created_at = '2026-01-01' WHERE name = 'buys';
INSERT INTO mlops_catalog.prediction (at, model, version, role, deployment, key, prediction, label)
SELECT at, 'buys', 1, 'active', 3, id, p, (p >= 0.5)::text FROM visit, LATERAL mlops_predict('buys/1', visit) AS p WHERE at BETWEEN '2026-05-10' AND '2026-05-20';
SELECT count(mlops_record_outcome('buys', id, bought::text, at + interval '1 hour')) FROM visit WHERE at BETWEEN '2026-05-10' AND '2026-05-20';
SELECT mlops_set_retraining('buys', drop => 0.1, changes => '{"source": "visit"}', period => '28 days', promote => true, min_rows => 200, live_period => '9 days', as_of => '2026-05-09');
-- too few outcomes to tell, and too few rows that it was evaluated on
CALL mlops_tick('2026-05-12');
CALL mlops_tick('2026-05-20');
SELECT number, regexp_replace(why, '\d\.\d+', 'x', 'g') AS why, status, version FROM mlops.retraining WHERE number > 4;
SELECT version FROM mlops.serving WHERE model = 'buys';

-- ---- because somebody asked; what is asked for twice is done once ----
SELECT mlops_set_retraining('buys', changes => '{"source": "visit"}', time_column => 'at', label_delay => '1 day');
SELECT mlops_request_retraining('buys', 'a new campaign'), mlops_request_retraining('buys', 'the same');
-- within a transaction everything is the caller's
BEGIN;
CALL mlops_tick('2026-05-22');
SELECT number, why, status, version FROM mlops.retraining WHERE number > 5;
ROLLBACK;
CALL mlops_tick('2026-05-22');
SELECT r.number, r.why, r.status, v.spec ->> 'since' AS since, v.spec ->> 'until' AS until, v.time_to
  FROM mlops.retraining AS r JOIN mlops.version AS v ON v.model = r.model AND v.version = r.version WHERE number > 5;

-- ---- what fails is recorded and told, and not tried at every tick ----
SELECT mlops_set_retraining('buys', every => '1 day', pause => '7 days', as_of => '2026-05-22');
ALTER TABLE visit RENAME TO visits;
\set VERBOSITY terse
CALL mlops_tick('2026-05-23');
CALL mlops_tick('2026-05-29');
BEGIN;
CALL mlops_tick('2026-05-30');
-- the transaction goes on
SELECT number, status FROM mlops.retraining WHERE number > 7;
ROLLBACK;
CALL mlops_tick('2026-05-29 12:00');
CALL mlops_tick('2026-05-30');
\set VERBOSITY default
SELECT number, status, version, sqlstate, message FROM mlops.retraining WHERE number > 6;
SELECT status, message FROM mlops.run WHERE model = 'buys' ORDER BY started_at DESC LIMIT 1;
ALTER TABLE visits RENAME TO visit;

-- ---- as the policy's author, whoever ticks ----
CREATE ROLE regress_ml_rita;
CREATE ROLE regress_ml_tick;
SELECT mlops_grant('buys', 'regress_ml_rita', 'train');
SELECT mlops_grant('buys', 'regress_ml_tick', 'train');
GRANT USAGE ON SCHEMA retraining_test TO regress_ml_rita;
GRANT SELECT ON visit TO regress_ml_rita;
SET ROLE regress_ml_rita;
SELECT mlops_set_retraining('buys', every => '1 day', changes => '{"source": "SELECT * FROM visit WHERE current_user = ''regress_ml_rita''"}', as_of => '2026-05-30');
SET ROLE regress_ml_tick;
SET search_path = nowhere;
CALL mlops_tick('2026-06-10');
SELECT r.status, r.requested_by, r.trained_by, v.trained_by AS by, v.spec -> 'author' AS author, v.rows_read, x.trained_by AS run_by
  FROM mlops.retraining AS r JOIN mlops.version AS v ON v.model = r.model AND v.version = r.version
  JOIN mlops.run AS x ON x.run = v.run WHERE r.number = 9;
-- without a source of its own a policy takes that of the active version, which still runs as who wrote it
SET ROLE regress_ml_rita;
SELECT mlops_set_retraining('buys', every => '1 day', as_of => '2026-06-11');
SET ROLE regress_ml_tick;
CALL mlops_tick('2026-06-13');
SELECT r.status, v.trained_by, v.spec ->> 'author' = session_user AS written_by_superuser, v.spec ->> 'source' AS source
  FROM mlops.retraining AS r JOIN mlops.version AS v ON v.model = r.model AND v.version = r.version WHERE r.number = 10;
-- temporary objects of who ticks could stand in for what the source names
CREATE TEMP TABLE visit (id int);
\set VERBOSITY terse
CALL mlops_tick('2026-06-15');
DISCARD TEMP;
-- an author who lost the right trains no more
RESET ROLE;
SET search_path = retraining_test;
SELECT mlops_revoke('buys', 'regress_ml_rita', 'train');
CALL mlops_tick('2026-06-20');
\set VERBOSITY default
SELECT number, status, sqlstate FROM mlops.retraining WHERE number > 10;
-- who may not train a model does not tick it
SELECT mlops_revoke('buys', 'regress_ml_tick', 'train');
SET ROLE regress_ml_tick;
CALL mlops_tick('2026-07-01');
SELECT count(*) FROM mlops.retraining;
RESET ROLE;
SELECT count(*) FROM mlops.retraining;

-- a tick that is cancelled while it trains says so, and stops
SELECT mlops_set_retraining('buys', changes => '{"source": "SELECT visit.* FROM visit, pg_sleep(60)"}');
SELECT mlops_request_retraining('buys', 'to be cancelled');
SET statement_timeout = '500ms';
CALL mlops_tick('2026-07-01');
RESET statement_timeout;
SELECT number, why, status, version, sqlstate FROM mlops.retraining WHERE number > 12;
SELECT status FROM mlops.run WHERE model = 'buys' ORDER BY started_at DESC LIMIT 1;
-- what is open goes with its policy; the history stays
SELECT mlops_request_retraining('buys', 'too late');
SELECT mlops_drop_retraining('buys');
SELECT number, why, status, message FROM mlops.retraining WHERE number > 13;
SELECT count(*) FROM mlops.retraining_policy;
-- ---- a registered metric drops, too ----
SELECT mlops_create_metric('follows', 'pg_catalog.corr', true, tasks => '{regression}', minimum => -1, maximum => 1);
SELECT mlops_create_model('price', target => 'y', metric => 'follows');
CREATE TABLE pair AS SELECT i AS id, timestamptz '2026-01-01' + i * interval '1 hour' AS at, i * 7 % 101 AS x,
       CASE WHEN i < 300 THEN i * 7 % 101 ELSE i * 13 % 37 END + i % 5 AS y FROM generate_series(0, 699) AS i;
SELECT mlops_train_now('price', 'SELECT * FROM pair WHERE id < 300', features => '{x}', time_column => 'at') AS version;
SELECT version FROM mlops_promote('price', 1);
UPDATE mlops_catalog.model SET created_at = '2026-01-01' WHERE name = 'price';
INSERT INTO mlops_catalog.prediction (at, model, version, role, deployment, key, prediction)
SELECT at, 'price', 1, 'active', 1, id, mlops_predict('price/1', pair) FROM pair;
SELECT count(mlops_record_outcome('price', id, y::text, at + interval '1 hour')) FROM pair;
SELECT mlops_set_retraining('price', drop => 0.5, changes => '{"source": "pair"}', min_rows => 100, as_of => '2026-01-10');
CALL mlops_tick('2026-01-12');
CALL mlops_tick('2026-01-29');
SELECT number, as_of::date, regexp_replace(why, '-?\d\.\d+', 'x', 'g') AS why, status, version FROM mlops.retraining WHERE model = 'price';

SELECT mlops_drop_model('buys', force => true);
-- ---- a tick ahead of the server's clock is one of now: nothing is trained before its time ----
SELECT mlops_set_retraining('price', every => '1 year');
CALL mlops_tick('2999-01-01');
SELECT count(*) AS trained FROM mlops.retraining WHERE model = 'price' AND as_of > now();

-- ---- a window over a column of integers: 1 is an hour, and 0 was the beginning of the year ----
CREATE VIEW counted AS SELECT id, id + 1 AS hour, x, y FROM pair;
SELECT mlops_set_retraining('price', changes => '{"source": "counted"}', period => '2 days', time_column => 'hour', label_delay => '30 minutes',
       time_unit => '1 hour', time_origin => '2025-12-31 23:00+00', as_of => '2026-01-10');
SELECT time_column, time_unit, time_origin AT TIME ZONE 'UTC' AS time_origin FROM mlops.retraining_policy WHERE model = 'price';
SELECT mlops_request_retraining('price', 'by the hour', '2026-01-10');
CALL mlops_tick('2026-01-10');
-- hours from 169 on and before 217: half past 23 of the 9th is 216.5, so the row of 23 is in it
SELECT spec -> 'since' AS since, spec -> 'until' AS until, time_from, time_to, rows_read FROM mlops.version WHERE model = 'price' ORDER BY version DESC LIMIT 1;
CALL mlops_reproduce('price/3');
-- the same by hand
CALL mlops_train_spec('price', '{"source": "counted", "target": "y", "features": ["x"], "time_column": "hour", "since": 169, "until": 217}');
SELECT a.sha256 = b.sha256 AS same FROM mlops.version AS a, mlops.version AS b WHERE a.model = 'price' AND a.version = 3 AND b.model = 'price' AND b.version = 4;

SELECT mlops_drop_model('price', force => true);
SELECT mlops_drop_metric('follows');
SELECT count(*) FROM mlops_catalog.retraining;
DROP SCHEMA retraining_test CASCADE;
DROP OWNED BY regress_ml_rita, regress_ml_tick;
DROP ROLE regress_ml_rita;
DROP ROLE regress_ml_tick;
