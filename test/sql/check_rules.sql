-- mlops_check_rules tries rules on the rows of a query before anybody serves
-- them: a line a rule, over the rows that come to it, and one for all of them.
CREATE SCHEMA ml_check_rules;
SET search_path = ml_check_rules;
\set SHOW_CONTEXT never
-- y = 2x exactly, so that what rules change can be told beforehand; half is 0 now and then
CREATE TABLE point AS SELECT i AS x, 2 * i AS y, i % 4 AS half, CASE WHEN i % 10 > 0 THEN i::text END AS name FROM generate_series(1, 100) AS i;
SET client_min_messages = error;
SELECT mlops_train_now('double', 'SELECT x, y FROM point', 'y', 'linear_regression') AS version;
RESET client_min_messages;

-- 20 rows above 160, of mean 181, become 160; of the 80 that are left, 8 have no name and 20 divide by 0
SELECT rule, rows, fired, errors, round(mean_before) AS mean_before, round(mean_after) AS mean_after, suppressed, labels_changed
  FROM mlops_check_rules('double', '{"columns": {"half": "int", "name": "text"}, "rules": [
      {"name": "cap", "when": "prediction > 160.5", "then": {"set": 160}, "stop": true},
      {"name": "no name", "when": "name IS NULL", "then": {"suppress": true}},
      {"name": "ratio", "when": "12 / half > 5", "then": {"clip": [0, 10]}},
      {"name": "after", "when": "prediction IS NULL", "then": {"set": -1}}]}', 'point');
-- the same said in SQL: a rule sees what the earlier ones made, and those that are stopped do not come to it
SELECT count(*) FILTER (WHERE x > 80) AS cap, count(*) FILTER (WHERE x <= 80 AND name IS NULL) AS no_name,
       count(*) FILTER (WHERE x <= 80 AND half IN (1, 2)) AS ratio, count(*) FILTER (WHERE x <= 80 AND half = 0) AS ratio_errors FROM point;
-- nothing was kept and nothing serves
SELECT count(*) AS rule_sets, (SELECT count(*) FROM mlops.serving WHERE model = 'double') AS serving FROM mlops.rule_set WHERE model = 'double';

-- a set that was made, by its number; rules as a document of type jsonb
SELECT mlops_create_rules('double', '[{"name": "low", "when": "x < 11", "then": {"set": 0}}]') AS number;
SELECT rule, rows, fired FROM mlops_check_rules('double', 1, 'SELECT * FROM point WHERE x > 5');
SELECT rule, rows, fired FROM mlops_check_rules('double', (SELECT rules FROM mlops.rule_set WHERE model = 'double'), 'SELECT * FROM point WHERE x > 5');
SELECT * FROM mlops_check_rules('double', 2, 'point');
-- a query without rows
SELECT rule, rows, fired, mean_before FROM mlops_check_rules('double', 1, 'SELECT * FROM point WHERE x > 500');

-- labels: one class in two is changed here
SET client_min_messages = error;
SELECT mlops_train_now('big', 'SELECT x, x > 50 AS big FROM point', 'big', 'logistic_regression', params => '{"l2": 1}') AS version;
RESET client_min_messages;
SELECT rule, rows, fired, labels_changed
  FROM mlops_check_rules('big', '[{"name": "swap", "when": "label = ''true''", "then": {"label": "false"}}, {"name": "same", "when": "label = ''false''", "then": {"label": "false"}}]', 'point');

-- the source is one query that only reads, has the columns, and runs as the caller
SELECT * FROM mlops_check_rules('double', 1, 'DELETE FROM point');
SELECT * FROM mlops_check_rules('double', 1, 'SELECT y FROM point');
SELECT * FROM mlops_check_rules('double', 1, 'SELECT * FROM nowhere');
SELECT * FROM mlops_check_rules('double', '[{"name": "a", "when": "z > 1", "then": {"set": 0}}]', 'point');
SELECT * FROM mlops_check_rules('double', NULL::int, 'point');
CREATE FUNCTION writes() RETURNS int LANGUAGE sql AS 'DELETE FROM point RETURNING 1';
SELECT * FROM mlops_check_rules('double', 1, 'SELECT x + writes() AS x FROM point');
SELECT count(*) AS left FROM point;

SET client_min_messages = error;
SELECT mlops_drop_model(m) FROM unnest(ARRAY['double', 'big']) AS m;
DROP SCHEMA ml_check_rules CASCADE;
