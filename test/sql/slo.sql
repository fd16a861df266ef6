-- What the owner of a model promises stands in its setting slo, in words. A monitor of
-- that name looks at it once a day; mlops_status() says whether it is met.
CREATE SCHEMA slo_test;
SET search_path = slo_test;
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET IntervalStyle = 'postgres';
SET client_min_messages = error;
CREATE TABLE visit AS SELECT i AS n, i % 7 AS pages, i * 5 % 13 > 5 AS bought FROM generate_series(1, 80) AS i;
SELECT mlops_train_now('promised', 'visit', 'bought', features => '{pages}', params => '{"l2": 1}') AS version;
SELECT version FROM mlops_promote('promised', 1);
UPDATE mlops_catalog.model SET created_at = '2024-01-01';
RESET client_min_messages;
SELECT slo FROM mlops_status();
SELECT mlops_set_model('promised', '{"slo": "accuracy >= 0.8 over 7 days after 1 day"}');
SELECT name, what, minimum, maximum, period, every, label_delay, action FROM mlops.monitor;
SELECT settings ->> 'slo' AS slo FROM mlops.model;
-- nothing to see yet
SELECT slo, alerts FROM mlops_status();
CALL mlops_tick('2024-03-02');
SELECT slo, alerts FROM mlops_status();
-- 90 of 100 each day, and from the 8th of March on 10 of 100; outcomes are known a day later
INSERT INTO mlops_catalog.prediction (at, model, version, role, key, prediction, label)
SELECT '2024-03-01'::date + d * interval '1 day' + i * interval '1 minute', 'promised', 1, 'active', d || '/' || i, 0.9, 'true' FROM generate_series(1, 100) AS i, generate_series(0, 9) AS d;
INSERT INTO mlops_catalog.outcome (model, key, at, annotator, outcome)
SELECT model, key, at + interval '20 hours', 'till', (split_part(key, '/', 2)::int <= CASE WHEN at < '2024-03-08' THEN 90 ELSE 10 END)::text FROM mlops_catalog.prediction;
CALL mlops_tick('2024-03-08');
SELECT slo, alerts FROM mlops_status();
-- not met, though nobody is woken up yet: whether it is met is told by the value, an alert by its whole interval
CALL mlops_tick('2024-03-10');
SELECT value, round(high::numeric, 2) AS high, verdict FROM mlops.monitor;
SELECT slo, alerts FROM mlops_status();
CALL mlops_tick('2024-03-11');
SELECT slo, alerts FROM mlops_status();
-- without data it is unknown again
CALL mlops_tick('2024-04-11');
SELECT slo FROM mlops_status();

-- other promises: a most, a measure that needs no outcomes, the period left out
SELECT mlops_set_model('promised', '{"slo": "log_loss <= 0.5"}');
SELECT what, minimum, maximum, period, label_delay FROM mlops.monitor;
SELECT state, comment FROM mlops.alert;
SELECT mlops_set_model('promised', '{"slo": "latency_p99 <= 500 over 1 hour"}');
SELECT what, maximum, period, every FROM mlops.monitor;
SELECT mlops_create_model('new', target => 'y', settings => '{"slo": "volume >= 100 over 1 day"}');
SELECT model, slo FROM mlops_status() ORDER BY model;
-- it is the setting's own: nobody else sets or drops it
SELECT mlops_set_monitor('promised', 'slo', 'volume', 1);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_drop_monitor('promised', 'slo');

-- it is judged as the owner, whoever that is
CREATE ROLE regress_ml_slo_owner;
GRANT CREATE ON SCHEMA mlops TO regress_ml_slo_owner;
SELECT mlops_set_model('promised', '{"slo": "volume >= 1000 over 1 day"}');
SELECT mlops_set_model('promised', '{"owner": "regress_ml_slo_owner"}');
CALL mlops_tick('2024-04-12');
SELECT state, error FROM mlops.monitor WHERE model = 'promised';
-- only the owner promises
CREATE ROLE regress_ml_slo;
SELECT mlops_grant('promised', 'regress_ml_slo', 'train');
SET ROLE regress_ml_slo;
SELECT mlops_set_model('promised', '{"slo": "volume >= 0"}');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
-- a role that may only predict is not told
SELECT mlops_revoke('promised', 'regress_ml_slo', 'train'), mlops_grant('promised', 'regress_ml_slo', 'predict');
SET ROLE regress_ml_slo;
SELECT model, slo, alerts FROM mlops_status();
RESET ROLE;

-- what cannot be read
SELECT mlops_set_model('promised', '{"slo": "accuracy"}');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_set_model('promised', '{"slo": "accuracy >= high"}');
SELECT mlops_set_model('promised', '{"slo": "accuracy >= 0.8 over and over"}');
SELECT mlops_set_model('promised', '{"slo": "accuracy >= 0.8 over -7 days"}');
SELECT mlops_set_model('promised', '{"slo": "acuracy >= 0.8"}');
SELECT mlops_set_model('promised', '{"slo": "rmse <= 0.8"}');
SELECT mlops_set_model('promised', '{"slo": ">= 0.8"}');
SELECT mlops_set_model('promised', '{"slo": ""}');
SELECT mlops_set_model('promised', '{"slo": {"metric": "accuracy"}}');
SELECT settings ->> 'slo' AS slo FROM mlops.model WHERE model = 'promised';
-- taken back
SELECT mlops_set_model('promised', '{"slo": null}');
SELECT slo FROM mlops_status() WHERE model = 'promised';
SELECT count(*) AS monitors FROM mlops.monitor WHERE model = 'promised';
SELECT mlops_drop_model('promised', force => true), mlops_drop_model('new');
SET client_min_messages = error;
DROP SCHEMA slo_test CASCADE;
REVOKE CREATE ON SCHEMA mlops FROM regress_ml_slo_owner;
DROP ROLE regress_ml_slo, regress_ml_slo_owner;
