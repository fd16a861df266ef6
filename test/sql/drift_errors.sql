-- What mlops_drift() cannot compare is refused with what was found and what to do; and nobody looks at a model
-- that he may not read, or at rows that he may not.

CREATE SCHEMA drift_errors_test;
SET search_path = drift_errors_test;
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE TABLE customer AS SELECT i AS id, i % 60 AS age, i / 100.0 AS used, i * 7919 % 10 < 3 + i % 60 / 20 AS churned FROM generate_series(1, 400) AS i;
SELECT mlops_train_now('drifting', 'customer', 'churned', exclude => '{id}');
RESET client_min_messages;

SELECT * FROM mlops_drift(NULL);
SELECT * FROM mlops_drift('nobody');
-- nothing is active yet; a number says which
SELECT * FROM mlops_drift('drifting');
SELECT count(*) FROM mlops_drift('drifting/1', 'customer');
SELECT * FROM mlops_drift('drifting/2');
-- queries
SELECT * FROM mlops_drift('drifting/1', 'no_such_table');
SELECT * FROM mlops_drift('drifting/1', 'SELECT age FROM customer; SELECT 1');
SELECT * FROM mlops_drift('drifting/1', 'DELETE FROM customer RETURNING *');
SELECT * FROM mlops_drift('drifting/1', 'customer', 'no_such_table');
SELECT * FROM mlops_drift('drifting/1', 'SELECT 1 / (id - 5) AS age FROM customer');
CREATE FUNCTION writes() RETURNS int LANGUAGE sql AS 'INSERT INTO drift_errors_test.customer (id) VALUES (0) RETURNING 1';
SELECT * FROM mlops_drift('drifting/1', 'SELECT writes() AS age');
SELECT count(*) FROM customer WHERE id = 0;
-- bounds and times
SELECT * FROM mlops_drift('drifting/1', 'customer', min_effect => -0.1);
SELECT * FROM mlops_drift('drifting/1', 'customer', min_impact => 2);
SELECT * FROM mlops_drift('drifting/1', 'customer', min_effect => 'NaN');
SELECT * FROM mlops_drift('drifting/1', 'customer', min_rows => 0);
SELECT * FROM mlops_drift('drifting/1', period => '-1 day');
SELECT * FROM mlops_drift('drifting/1', as_of => 'infinity');
SELECT * FROM mlops_drift('drifting/1', as_of => NULL);
-- a version of which no rows are known: one that was imported
SET client_min_messages = error;
SELECT mlops_import('drifted', mlops_export('drifting/1', 'json')) AS version;
RESET client_min_messages;
SELECT * FROM mlops_drift('drifted/1', 'customer');
SELECT verdict, count(*) FROM mlops_drift('drifted/1', 'customer', 'customer') WHERE role <> 'all' GROUP BY verdict;

-- More rows than memory is for: numbers are compared on a random sample of them; rows, missing values and levels are counted in full.
SET mlops.max_training_memory = '1MB';
SELECT feature, n, missing, abs(ks) < 0.08 AS same FROM mlops_drift('drifting/1', 'SELECT i % 60 AS age, CASE WHEN i % 2 = 0 THEN i % 401 / 100.0 END AS used FROM generate_series(1, 60000) AS i')
 WHERE role = 'feature' ORDER BY feature;
RESET mlops.max_training_memory;

-- privileges: read on the model, and those of the caller on the rows
CREATE ROLE drift_reader;
CREATE ROLE drift_stranger;
SELECT mlops_grant('drifting', 'drift_reader', 'read');
GRANT USAGE ON SCHEMA drift_errors_test TO drift_reader;
SET ROLE drift_stranger;
SELECT * FROM mlops_drift('drifting/1', 'SELECT 1 AS age');
SET ROLE drift_reader;
SELECT * FROM mlops_drift('drifting/1', 'drift_errors_test.customer');
SELECT * FROM mlops_drift('drifting/1', 'SELECT 1 AS age', 'drift_errors_test.customer');
SELECT count(*) FROM mlops_drift('drifting/1', 'SELECT 1 AS age');
RESET ROLE;
SELECT mlops_revoke('drifting', 'drift_reader', 'read');
REVOKE USAGE ON SCHEMA drift_errors_test FROM drift_reader;
DROP ROLE drift_reader;
DROP ROLE drift_stranger;
SELECT mlops_drop_model('drifting'), mlops_drop_model('drifted');
SET client_min_messages = error;
DROP SCHEMA drift_errors_test CASCADE;
