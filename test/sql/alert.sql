-- Alerts are open, acknowledged, muted or resolved. People say which were real, so
-- that noisy monitors are seen and mended. What a monitor does it does as its
-- author, who must still be allowed to; who may not read a model sees nothing of it.
CREATE SCHEMA alert_test;
SET search_path = alert_test;
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SET client_min_messages = error;
CREATE TABLE visit AS SELECT i AS n, i % 7 AS pages, i * 5 % 13 > 5 AS bought FROM generate_series(1, 80) AS i;
SELECT count(mlops_train_now('alerted', 'visit', 'bought', features => '{pages}', params => '{"l2": 1}')) AS trained FROM generate_series(1, 3);
SELECT version FROM mlops_promote('alerted', 1);
SELECT version FROM mlops_promote('alerted', 2);
SELECT version FROM mlops_promote('alerted', 3);
UPDATE mlops_catalog.model SET created_at = '2024-01-01';
CREATE FUNCTION logged(day date, n int, prediction float8 DEFAULT 0.5, version int DEFAULT 3) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO mlops_catalog.prediction (at, model, version, role, key, prediction)
    SELECT day + i * interval '1 second', 'alerted', version, 'active', i, prediction FROM generate_series(1, n) AS i;
$$;
-- 100 calls a day, and half of every third day's are missing
SELECT count(logged('2024-03-01'::date + d, CASE WHEN d % 3 = 0 THEN 50 ELSE 100 END)) FROM generate_series(0, 29) AS d;
SELECT mlops_set_monitor('alerted', 'calls', 'volume', 75);

-- ---- what people say ----

CALL mlops_tick('2024-03-01');
CALL mlops_tick('2024-03-02');
SELECT alert, state, value, acknowledged_at IS NULL AS new FROM mlops.alert;
-- it was: whoever looks after it says so, and it stays until it is resolved
SELECT mlops_acknowledge_alert('alerted', 1, true, 'the till was down');
SELECT state, is_real, acknowledged_by = current_user AS by_me, comment FROM mlops.alert WHERE alert = 1;
CALL mlops_tick('2024-03-03');
SELECT state, is_real FROM mlops.alert WHERE alert = 1;
-- another was not: it is resolved
CALL mlops_tick('2024-03-05');
SELECT mlops_acknowledge_alert('alerted', 2, false);
SELECT alert, state, is_real, resolved_by = current_user AS by_me FROM mlops.alert ORDER BY alert;
-- how often a monitor is right: noisy ones are seen
SELECT name, alerts, acknowledged, precision FROM mlops.monitor;
-- muted: open, and nothing more is done until then
CALL mlops_tick('2024-03-08');
SELECT mlops_mute_alert('alerted', 3, until => '2024-03-20', note => 'holidays');
SELECT alert, state, muted_until, comment FROM mlops.alert WHERE alert = 3;
SELECT mlops_mute_alert('alerted', 3, until => NULL);
SELECT state FROM mlops.alert WHERE alert = 3;
-- resolved by hand: the next bad period opens another
SELECT mlops_resolve_alert('alerted', 3, 'known');
DELETE FROM mlops_catalog.prediction WHERE at >= '2024-03-08' AND at < '2024-03-09';
CALL mlops_tick('2024-03-09');
SELECT alert, state, value FROM mlops.alert ORDER BY alert DESC LIMIT 2;
-- one that is resolved is not muted or resolved again, but it can still be said whether it was real
SELECT mlops_resolve_alert('alerted', 3);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_mute_alert('alerted', 3, '2024-04-01');
SELECT mlops_acknowledge_alert('alerted', 3, true);
SELECT alerts, acknowledged, round(precision::numeric, 2) AS precision FROM mlops.monitor;
SELECT mlops_acknowledge_alert('alerted', 99, true);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_acknowledge_alert('alerted', 1, NULL);

-- a muted alert does nothing: a monitor that would roll back does not
SELECT mlops_set_monitor('alerted', 'calls', 'volume', 75, action => 'rollback');
SELECT mlops_mute_alert('alerted', 4, until => 'infinity');
DELETE FROM mlops_catalog.prediction WHERE at >= '2024-03-09' AND at < '2024-03-10';
CALL mlops_tick('2024-03-10');
SELECT state, done FROM mlops.alert WHERE alert = 4;
SELECT version FROM mlops.serving;
SELECT mlops_mute_alert('alerted', 4, until => NULL);
DELETE FROM mlops_catalog.prediction WHERE at >= '2024-03-10' AND at < '2024-03-11';
CALL mlops_tick('2024-03-11');
SELECT done FROM mlops.alert WHERE alert = 4;
-- not more often than its cooldown, a day by default, whatever is seen
DELETE FROM mlops_catalog.prediction WHERE at >= '2024-03-11' AND at < '2024-03-13';
SELECT mlops_set_monitor('alerted', 'calls', 'volume', 75, action => 'rollback', cooldown => '3 days');
CALL mlops_tick('2024-03-12');
SELECT done FROM mlops.alert WHERE alert = 4;
CALL mlops_tick('2024-03-13');
SELECT done FROM mlops.alert WHERE alert = 4;
-- and where there is nothing to go back to, it is told
DELETE FROM mlops_catalog.prediction WHERE at >= '2024-03-13' AND at < '2024-03-16';
CALL mlops_tick('2024-03-16');
SELECT done FROM mlops.alert WHERE alert = 4;
SELECT mlops_drop_monitor('alerted', 'calls');

-- ---- who may ----

CREATE ROLE regress_ml_reader;
CREATE ROLE regress_ml_trainer;
CREATE ROLE regress_ml_promoter;
GRANT USAGE ON SCHEMA alert_test TO regress_ml_reader, regress_ml_trainer, regress_ml_promoter;
SELECT mlops_grant('alerted', 'regress_ml_reader', 'read'), mlops_grant('alerted', 'regress_ml_trainer', 'train'), mlops_grant('alerted', 'regress_ml_promoter', 'promote');
RESET client_min_messages;
-- reading is looking
SET ROLE regress_ml_reader;
SELECT count(*) AS alerts, bool_and(state = 'resolved') AS resolved FROM mlops.alert;
SELECT mlops_set_monitor('alerted', 'mine', 'volume', 1);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_acknowledge_alert('alerted', 4, true);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_drop_monitor('alerted', 'mine');
-- who trains sets monitors that tell or train; what rolls back needs promote
SET ROLE regress_ml_trainer;
SELECT mlops_set_monitor('alerted', 'calls', 'volume', 75, action => 'rollback');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_set_default_monitors('alerted', action => 'rollback');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_set_monitor('alerted', 'mine', 'volume', 75);
SELECT mlops_acknowledge_alert('alerted', 4, true, 'seen');
-- who promotes sets those; what trains needs train
SET ROLE regress_ml_promoter;
SELECT mlops_set_monitor('alerted', 'train', 'volume', 75, action => 'retrain');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_set_monitor('alerted', 'guard', 'volume', 75, action => 'rollback');
-- nobody but its author and the owner takes away what guards a model
SET ROLE regress_ml_trainer;
SELECT mlops_set_monitor('alerted', 'guard', 'volume', 0);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_drop_monitor('alerted', 'guard');
-- a role without any privilege sees nothing, and is not told what there is
RESET ROLE;
SELECT mlops_revoke('alerted', 'regress_ml_reader', 'read');
SET ROLE regress_ml_reader;
SELECT (SELECT count(*) FROM mlops.monitor) + (SELECT count(*) FROM mlops.alert) + (SELECT count(*) FROM mlops.monitor_period) AS visible;
SELECT mlops_set_monitor('alerted', 'calls', 'volume', 1);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_resolve_alert('alerted', 1);
SELECT * FROM mlops_catalog.alert;
-- their ticks judge nothing
CALL mlops_tick('2024-03-20');
RESET ROLE;
SELECT count(*) AS judged FROM mlops_catalog.monitor WHERE judged_until IS NOT NULL;

-- ---- as the author ----

SET client_min_messages = error;
SELECT version FROM mlops_promote('alerted', 2);
RESET client_min_messages;
-- the trainer ticks; the promoter's monitor rolls back, as the promoter
SET ROLE regress_ml_trainer;
CALL mlops_tick('2024-04-20');
RESET ROLE;
SELECT action, version, deployed_by FROM mlops.deployment ORDER BY number DESC LIMIT 1;
SELECT monitor, done FROM mlops.alert WHERE monitor = 'guard';
-- a muted alert does nothing: who may not promote does not mute what rolls back
SET ROLE regress_ml_trainer;
SELECT mlops_mute_alert('alerted', alert, until => 'infinity') FROM mlops.alert WHERE monitor = 'guard';
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_acknowledge_alert('alerted', alert, false) FROM mlops.alert WHERE monitor = 'guard';
SELECT mlops_resolve_alert('alerted', alert) FROM mlops.alert WHERE monitor = 'mine';
RESET ROLE;
-- who lost the privilege does nothing any more, and it is told
SELECT mlops_revoke('alerted', 'regress_ml_promoter', 'promote'), mlops_grant('alerted', 'regress_ml_promoter', 'read');
SET client_min_messages = error;
SELECT version FROM mlops_promote('alerted', 2);
RESET client_min_messages;
SET ROLE regress_ml_trainer;
CALL mlops_tick('2024-04-22');
RESET ROLE;
SELECT version FROM mlops.serving;
SELECT monitor, done FROM mlops.alert WHERE monitor = 'guard' ORDER BY alert DESC LIMIT 1;
-- who may not even read does not look; the others do
SELECT mlops_revoke('alerted', 'regress_ml_promoter', 'read');
SET ROLE regress_ml_trainer;
CALL mlops_tick('2024-04-23');
RESET ROLE;
SELECT name, state, error FROM mlops.monitor ORDER BY name;
DROP TABLE visit;
-- a role that is gone
SELECT mlops_drop_monitor('alerted', 'mine');
SET ROLE regress_ml_trainer;
SELECT mlops_set_monitor('alerted', 'mine', 'volume', 0);
RESET ROLE;
SELECT mlops_revoke('alerted', 'regress_ml_trainer', 'train');
REVOKE ALL ON SCHEMA alert_test FROM regress_ml_reader, regress_ml_trainer, regress_ml_promoter;
DROP ROLE regress_ml_promoter;
CALL mlops_tick('2024-04-24');
SELECT name, error FROM mlops.monitor ORDER BY name;

-- ---- hostile names ----

SET client_min_messages = error;
SELECT mlops_import('"; DROP TABLE x; -- ''', '{"(intercept)": 0, "a": 1}', options => '{"link": "logit", "target": "y"}');
SELECT version FROM mlops_promote('"; DROP TABLE x; -- ''', 1);
RESET client_min_messages;
SELECT mlops_set_monitor('"; DROP TABLE x; -- ''', '%s '' " \ $1', 'volume', 5);
CALL mlops_tick('2024-04-24');
SELECT model, monitor FROM mlops.alert WHERE model LIKE '"%';
SELECT mlops_drop_monitor('"; DROP TABLE x; -- ''', '%s '' " \ $1');
SELECT mlops_drop_model('"; DROP TABLE x; -- ''', force => true), mlops_drop_model('alerted', force => true);
SET client_min_messages = error;
DROP SCHEMA alert_test CASCADE;
DROP ROLE regress_ml_reader, regress_ml_trainer;
