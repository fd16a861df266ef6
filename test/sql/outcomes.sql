-- Outcomes are the true labels that arrive later: recorded one at a time or as
-- a set, or pulled from a query of their author. A key may have several, of
-- several sources and annotators. One of a key that was never predicted is kept
-- and said to be unpredicted; the same one twice, or one that the model's
-- target could not have, is refused.

CREATE SCHEMA outcomes_test;
GRANT USAGE ON SCHEMA outcomes_test TO PUBLIC;
SET search_path = outcomes_test;
\set SHOW_CONTEXT never
SET client_min_messages = error;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';

CREATE TABLE customer AS
SELECT i AS id, i % 10 AS calls, CASE WHEN i % 10 + i % 3 > 6 THEN 'yes' ELSE 'no' END AS left_us, i % 10 + i % 3 > 6 AS gone
  FROM generate_series(1, 60) AS i;
SELECT mlops_train_now('out_churn', 'customer', 'left_us', key => 'id', features => '{calls}') AS version;
SELECT (mlops_promote('out_churn', 1)).version;
SELECT mlops_train_now('out_gone', 'customer', 'gone', key => 'id', features => '{calls}') AS version;
SELECT mlops_train_now('out_calls', 'customer', 'calls', key => 'id', features => '{left_us}') AS version;
SELECT mlops_train_now('out_groups', 'customer', algorithm => 'kmeans', features => '{calls}', params => '{"k": 2}') AS version;
RESET client_min_messages;
SELECT count(*) FROM mlops_score('out_churn', 'customer', 'id');

-- one at a time: true says that a prediction of the key is logged
SELECT mlops_record_outcome('out_churn', '1', 'no', at => now() + interval '1 day') AS predicted;
SELECT mlops_record_outcome('out_churn', 2, 'yes', now() + interval '1 day') AS predicted;
SELECT mlops_record_outcome('out_churn', 1000, 'yes') AS predicted;
SELECT mlops_record_outcome('out_churn', '0f6e4a4b-1d1d-4f5a-9a7e-000000000001'::uuid, 'yes') AS predicted;
-- as a set
SELECT count(*) AS recorded, count(*) FILTER (WHERE NOT r.predicted) AS unpredicted
  FROM (SELECT mlops_record_outcome('out_churn', id, left_us, now() + interval '2 days', source => 'crm') AS predicted
          FROM customer WHERE id <= 10) AS r;
-- a second opinion, and a later outcome
SELECT mlops_record_outcome('out_churn', 1, 'yes', now() + interval '1 day', annotator => 'second') AS predicted;
SELECT mlops_record_outcome('out_churn', 1, 'yes', now() + interval '30 days') AS predicted;
SELECT key, outcome, source, annotator = current_user AS mine, at > now() AS later
  FROM mlops.outcome WHERE model = 'out_churn' AND key IN ('1', '1000') ORDER BY key, outcome, source, mine, at;

-- What is refused: the same again, what the target cannot be, a model without a target
SELECT mlops_record_outcome('out_churn', 1, 'no', now() + interval '30 days', annotator => 'x') AS predicted;
BEGIN;
SELECT mlops_record_outcome('out_churn', 3, 'no') AS predicted;
SELECT mlops_record_outcome('out_churn', 3, 'yes') AS predicted;
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
SELECT mlops_record_outcome('out_churn', 3, 'yess');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_record_outcome('out_calls', 3, 'many');
SELECT mlops_record_outcome('out_calls', 3, 'Infinity');
SELECT mlops_record_outcome('out_calls', 3, '12.5') AS predicted;
SELECT mlops_record_outcome('out_gone', 3, 't') AS predicted;
SELECT outcome FROM mlops.outcome WHERE model = 'out_gone';
SELECT mlops_record_outcome('out_groups', 3, '1');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_record_outcome('out_churn', 3, 'yes', 'infinity');
SELECT mlops_record_outcome('out_churn', NULL::text, 'yes');
SELECT mlops_record_outcome('out_churn', 3, 'yes', source => repeat('s', 256));
SELECT mlops_record_outcome('out_church', 3, 'yes');

-- pulled from business tables: what is new since the last time, and a day before
CREATE TABLE contract (customer int, state text, ended date);
INSERT INTO contract SELECT id, left_us, current_date + id FROM customer WHERE id <= 20;
SELECT mlops_set_outcomes('out_churn', 'SELECT customer, state, ended FROM contract -- as it is', 'customer', 'state', 'ended');
SELECT * FROM mlops_pull_outcomes('out_churn', now() + interval '10 days');
SELECT * FROM mlops_pull_outcomes('out_churn', now() + interval '10 days');
SELECT * FROM mlops_pull_outcomes('out_churn', now() + interval '20 days');
-- rows that are no outcomes do not stop the others; unknown keys are kept
INSERT INTO contract VALUES (NULL, 'yes', current_date + 20), (21, 'perhaps', current_date + 20), (22, NULL, current_date + 20),
                            (7777, 'yes', current_date + 20), (23, 'yes', current_date + 20), (24, 'yes', NULL);
SELECT * FROM mlops_pull_outcomes('out_churn', now() + interval '20 days');
SELECT count(*) FROM mlops.outcome WHERE model = 'out_churn' AND source = 'query';
SELECT source, key, outcome, time_column, lateness, author = current_user AS mine, pulled_until::date - current_date AS days
  FROM mlops.outcome_source WHERE model = 'out_churn';

-- what cannot be read is refused when it is set
SELECT mlops_set_outcomes('out_churn', 'contract');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_set_outcomes('out_churn', 'UPDATE contract SET state = NULL', 'customer', 'state', 'ended');
SELECT mlops_set_outcomes('out_groups', 'contract', 'customer', 'state', 'ended');
SELECT * FROM mlops_pull_outcomes('out_calls');
\echo :LAST_ERROR_SQLSTATE

-- outcomes are labels: the privilege to train is needed. The query runs as its author
CREATE ROLE regress_ml_trainer;
CREATE ROLE regress_ml_predict;
SELECT mlops_grant('out_churn', 'regress_ml_trainer', 'train');
SELECT mlops_grant('out_churn', 'regress_ml_predict', 'predict');
SET ROLE regress_ml_predict;
SELECT mlops_record_outcome('out_churn', 4, 'yes');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_set_outcomes('out_churn', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM mlops.outcome;
SELECT count(*) FROM mlops_performance('out_churn');
\echo :LAST_ERROR_SQLSTATE
SET ROLE regress_ml_trainer;
SELECT mlops_set_outcomes('out_churn', 'contract', 'customer', 'state', 'ended');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
CREATE VIEW shared AS SELECT * FROM contract WHERE current_user = 'regress_ml_trainer';
GRANT SELECT ON shared TO regress_ml_trainer;
SET ROLE regress_ml_trainer;
SELECT mlops_set_outcomes('out_churn', 'shared', 'customer', 'state', 'ended');
RESET ROLE;
SELECT read > 0 AS read_as_author FROM mlops_pull_outcomes('out_churn', now() + interval '30 days');
SELECT mlops_revoke('out_churn', 'regress_ml_trainer', 'train');
SELECT * FROM mlops_pull_outcomes('out_churn', now() + interval '30 days');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_set_outcomes('out_churn', NULL);
SELECT count(*) FROM mlops.outcome_source;

-- a key is forgotten with its outcomes; a model goes with all of them
SELECT count(*) AS kept FROM mlops.outcome WHERE model = 'out_churn' AND key = '1';
SELECT mlops_forget('out_churn', '1') AS erased;
SELECT count(*) AS kept FROM mlops.outcome WHERE model = 'out_churn' AND key = '1';
-- and from the rows that versions keep, where the training was told what the key is
SET client_min_messages = error;
SELECT mlops_train_now('out_churn', 'customer', 'left_us', key => 'id', features => '{calls}', params => '{"l2": 1}', options => '{"keep_rows": true}') AS keyed,
       mlops_train_now('out_churn', 'customer', 'left_us', features => '{calls}', params => '{"l2": 1}', options => '{"keep_rows": true}') AS unkeyed;
RESET client_min_messages;
SELECT mlops_forget('out_churn', '7') AS erased;
SELECT v.version, count(*) FILTER (WHERE r ->> 'id' = '7') AS of_the_key, count(*) AS others_too FROM mlops.version AS v, mlops_rows('out_churn/' || v.version) AS r
 WHERE v.model = 'out_churn' AND v.rows_kept IS NOT NULL GROUP BY v.version ORDER BY v.version;
SELECT mlops_drop_model('out_churn', force => true), mlops_drop_model('out_gone'), mlops_drop_model('out_calls'), mlops_drop_model('out_groups');
SELECT count(*) FROM mlops_catalog.outcome WHERE model LIKE 'out_%';
SET client_min_messages = error;
DROP OWNED BY regress_ml_trainer, regress_ml_predict;
DROP ROLE regress_ml_trainer, regress_ml_predict;
DROP SCHEMA outcomes_test CASCADE;
