-- Rule sets are numbered within their model and never changed. Whoever may
-- promote makes and drops them; what is wrong with one is said when it is made.
CREATE SCHEMA ml_rule_sets;
SET search_path = ml_rule_sets;
\set SHOW_CONTEXT never
CREATE ROLE regress_ml_promoter;
CREATE ROLE regress_ml_reader;
CREATE TABLE visit AS SELECT i AS n, i % 7 AS pages, i % 3 = 0 AS member, date '2024-01-01' + i AS day, time '12:00' AS at, i * 5 % 13 > 5 AS bought
  FROM generate_series(1, 80) AS i;
CREATE TABLE iris AS SELECT i AS size, (ARRAY['a', 'b', 'c'])[1 + i % 3] AS kind FROM generate_series(1, 60) AS i;
SELECT mlops_create_model('buys');
-- there must be a version to check against
SELECT mlops_create_rules('buys', '[{"name": "a", "when": "true", "then": {"set": 0}}]');
SET client_min_messages = error;
SELECT mlops_train_now('buys', 'visit', 'bought') AS first, mlops_train_now('buys', 'visit', 'bought', params => '{"l2": 2}') AS second,
       mlops_train_now('pages', 'visit', 'pages', exclude => '{n}') AS number, mlops_train_now('kinds', 'iris', 'kind') AS kinds;
RESET client_min_messages;

-- numbers are a model's own; the view shows what was written
SELECT mlops_create_rules('buys', '[{"name": "a", "when": "pages > 3", "then": {"set": 0.5}}]', note => 'a test') AS number;
SELECT mlops_create_rules('buys', '[{"name": "b", "when": "member AND day < ''2024-02-01''", "then": {"use": 2}, "stop": true}]') AS number;
SELECT mlops_create_rules('pages', '[{"name": "b", "when": "member", "then": {"clip": [-1, 10]}}]') AS number;
SELECT model, number, rules, uses, note, serves FROM mlops.rule_set ORDER BY model, number;

-- JSON that is no rule set
SELECT mlops_create_rules('buys', '5');
SELECT mlops_create_rules('buys', '[]');
SELECT mlops_create_rules('buys', (SELECT jsonb_agg(jsonb_build_object('name', i, 'when', 'true', 'then', '{"set": 0}')) FROM generate_series(1, 65) AS i));
SELECT mlops_create_rules('buys', '{"columns": {}}');
SELECT mlops_create_rules('buys', '{"rule": []}');
SELECT mlops_create_rules('buys', '["a"]');
SELECT mlops_create_rules('buys', '[{"name": "a", "then": {"set": 0}}]');
SELECT mlops_create_rules('buys', '[{"name": "a", "when": "true"}]');
SELECT mlops_create_rules('buys', '[{"name": "a", "wen": "true"}]');
SELECT mlops_create_rules('buys', '[{"name": "", "when": "true", "then": {"set": 0}}]');
SELECT mlops_create_rules('buys', '[{"name": "a", "when": "true", "then": {"set": 0}}, {"name": "a", "when": "true", "then": {"set": 0}}]');
SELECT mlops_create_rules('buys', '[{"name": "a", "when": "true", "then": {"set": 0}, "stop": 1}]');
-- what is to be done
SELECT mlops_create_rules('buys', '[{"name": "a", "when": "true", "then": {"set": 0, "suppress": true}}]');
SELECT mlops_create_rules('buys', '[{"name": "a", "when": "true", "then": {"sett": 0}}]');
SELECT mlops_create_rules('buys', '[{"name": "a", "when": "true", "then": {"set": 1.5}}]');
SELECT mlops_create_rules('buys', '[{"name": "a", "when": "true", "then": {"set": "0"}}]');
SELECT mlops_create_rules('buys', '[{"name": "a", "when": "true", "then": {"clip": [1, 0]}}]');
SELECT mlops_create_rules('buys', '[{"name": "a", "when": "true", "then": {"clip": 1}}]');
SELECT mlops_create_rules('buys', '[{"name": "a", "when": "true", "then": {"suppress": false}}]');
SELECT mlops_create_rules('buys', '[{"name": "a", "when": "true", "then": {"use": "other"}}]');
SELECT mlops_create_rules('buys', '[{"name": "a", "when": "true", "then": {"use": 7}}]');
SELECT mlops_create_rules('pages', '[{"name": "a", "when": "true", "then": {"label": "x"}}]');
SELECT mlops_create_rules('kinds', '[{"name": "a", "when": "true", "then": {"set": 1}}]');
-- conditions: of the model's columns, with their types
SELECT mlops_create_rules('buys', '[{"name": "ok", "when": "true", "then": {"set": 0}}, {"name": "a", "when": "page > 3", "then": {"set": 0}}]');
SELECT mlops_create_rules('buys', '[{"name": "a", "when": "pages", "then": {"set": 0}}]');
SELECT mlops_create_rules('buys', '[{"name": "a", "when": "member > 1", "then": {"set": 0}}]');
SELECT mlops_create_rules('buys', '[{"name": "a", "when": "at > 1", "then": {"set": 0}}]');
SELECT mlops_create_rules('pages', '[{"name": "a", "when": "label = ''x''", "then": {"set": 0}}]');
SELECT mlops_create_rules('kinds', '[{"name": "a", "when": "prediction > 1", "then": {"suppress": true}}]');
-- columns that are declared
SELECT mlops_create_rules('buys', '{"columns": {"city": "geometry"}, "rules": [{"name": "a", "when": "true", "then": {"set": 0}}]}');
SELECT mlops_create_rules('buys', '{"columns": {"pages": "text"}, "rules": [{"name": "a", "when": "true", "then": {"set": 0}}]}');
SELECT mlops_create_rules('buys', '{"time_zone": "Mars/Olympus", "rules": [{"name": "a", "when": "true", "then": {"set": 0}}]}');
-- nothing of it was kept
SELECT count(*) FROM mlops.rule_set WHERE model = 'buys';

-- promoting what is not there, what uses itself, and what is no number
SELECT mlops_promote('buys', 1, rules => 9);
SELECT mlops_promote('buys', 2, rules => 2);
SELECT mlops_promote('buys', 1, rules => -1);

-- what serves, or is in the rollback stack, is not dropped; nor is a version that rules use
SET client_min_messages = error;
SELECT rules FROM mlops_promote('buys', 1, rules => 2);
SELECT rules FROM mlops_promote('buys', 1, rules => 1);
RESET client_min_messages;
SELECT mlops_drop_rules('buys', 1);
SELECT mlops_drop_rules('buys', 2);
SELECT mlops_drop_version('buys', 2);
SELECT mlops_drop_rules('buys', 5);
SELECT number, serves FROM mlops.rule_set WHERE model = 'buys' ORDER BY number;
-- a number that is in the history is not given again
SET mlops.rollback_depth = 1;
SET client_min_messages = error;
SELECT rules FROM mlops_promote('buys', 1, rules => 0);
SELECT mlops_drop_rules('buys', 2);
SELECT mlops_create_rules('buys', '[{"name": "c", "when": "pages IS NULL", "then": {"suppress": true}}]') AS number;
RESET client_min_messages;
SELECT mlops_promote('buys', 1, rules => 2);

-- gates are not heard again for a bundle that has served; other rules are another bundle
SELECT mlops_set_gate('buys', 'never', query => 'SELECT false');
SELECT rules FROM mlops_promote('buys', 1, rules => 1);
SELECT rules FROM mlops_promote('buys', 1, rules => 3);
SELECT mlops_drop_gate('buys', 'never');

-- promote makes and drops them, read sees and tries them, predict neither
GRANT USAGE ON SCHEMA ml_rule_sets TO regress_ml_promoter, regress_ml_reader;
GRANT SELECT ON visit TO regress_ml_reader;
SELECT mlops_grant('buys', 'regress_ml_promoter', 'promote');
SET ROLE regress_ml_promoter;
SELECT mlops_create_rules('buys', '[{"name": "d", "when": "n > 1000", "then": {"set": 1}}]') AS number;
SELECT mlops_drop_rules('buys', 4);
RESET ROLE;
SELECT mlops_grant('buys', 'regress_ml_reader', 'predict');
SET ROLE regress_ml_reader;
SELECT count(*) FROM mlops.rule_set;
SELECT mlops_create_rules('buys', '[{"name": "d", "when": "n > 1000", "then": {"set": 1}}]');
SELECT mlops_drop_rules('buys', 3);
SELECT * FROM mlops_check_rules('buys', 3, 'visit');
RESET ROLE;
SELECT mlops_grant('buys', 'regress_ml_reader', 'read');
SET ROLE regress_ml_reader;
SELECT count(*) FROM mlops.rule_set;
SELECT rule, rows, fired FROM mlops_check_rules('buys', 3, 'visit');
-- the source is read as the caller
SELECT * FROM mlops_check_rules('buys', 3, 'iris');
SELECT program FROM mlops_catalog.rule_set;
RESET ROLE;

SET client_min_messages = error;
SELECT mlops_drop_model(m, force => true) FROM unnest(ARRAY['buys', 'pages', 'kinds']) AS m;
SELECT count(*) AS left_behind FROM mlops_catalog.rule_set;
DROP SCHEMA ml_rule_sets CASCADE;
DROP ROLE regress_ml_promoter, regress_ml_reader;
