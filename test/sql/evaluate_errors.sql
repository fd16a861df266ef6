-- What cannot be judged is refused with what was found and what to do; and nobody
-- judges a model that he may not read, or reads rows that he may not.

CREATE SCHEMA evaluate_errors_test;
SET search_path = evaluate_errors_test;
SET client_min_messages = warning;
CREATE TABLE customer AS
SELECT i AS id, i % 60 AS age, (ARRAY['basic', 'pro', 'max'])[1 + i * 7 % 3] AS plan, i / 100.0 AS used, i * 7919 % 10 < 3 + i % 60 / 20 AS churned FROM generate_series(1, 400) AS i;
SELECT mlops_train_now('churn', 'SELECT age, plan, used, churned FROM customer WHERE id <= 200', 'churned', holdout => 0);
SELECT mlops_train_now('used', 'SELECT age, plan, used FROM customer WHERE id <= 200', 'used', holdout => 0);
SELECT mlops_train_now('odd', 'SELECT age, used FROM customer WHERE id <= 200', algorithm => 'isolation_forest', holdout => 0);
RESET client_min_messages;

-- all missing columns at once
SELECT * FROM mlops_evaluate_query('churn/1', 'SELECT age, id FROM customer');
SELECT * FROM mlops_evaluate_query('churn/1', 'customer', target => 'left');
-- a column, and a label, of another type
SELECT * FROM mlops_evaluate_query('churn/1', 'SELECT age::text, plan, used, churned FROM customer');
SELECT * FROM mlops_evaluate_query('used/1', 'SELECT age, plan, used::text AS used FROM customer');
SELECT * FROM mlops_evaluate_query('churn/1', 'SELECT age, plan, used, ''maybe'' AS churned FROM customer');
-- no rows
SELECT * FROM mlops_evaluate_query('churn/1', 'SELECT * FROM customer WHERE false');
-- slices
SELECT * FROM mlops_evaluate_query('churn/1', 'customer', slices => '{region}');
SELECT * FROM mlops_evaluate_query('churn/1', 'customer', slices => '{age + 1}');
-- a condition is one expression: it cannot become another query, of other columns
SELECT * FROM mlops_evaluate_query('churn/1', 'customer', slices => ARRAY['plan', 'true) IS TRUE FROM (VALUES (1)) AS q UNION ALL SELECT 1, (true']);
SELECT * FROM mlops_evaluate_query('churn/1', 'customer', slices => ARRAY['plan', 'true), (true']);
SELECT * FROM mlops_evaluate_query('churn/1', 'customer', slices => '{avg(age) > 40}');
SELECT * FROM mlops_evaluate_query('churn/1', 'customer', slices => '{used}');
SELECT * FROM mlops_evaluate_query('churn/1', 'SELECT *, now() AS at FROM customer', slices => '{at}');
SELECT * FROM mlops_evaluate_query('churn/1', 'customer', slices => '{NULL}');
-- metrics
SELECT * FROM mlops_evaluate_query('churn/1', 'customer', metrics => '{roc_acu}');
SELECT * FROM mlops_evaluate_query('churn/1', 'customer', metrics => '{rmse}');
-- weights
SELECT * FROM mlops_evaluate_query('churn/1', 'SELECT *, -1 AS w FROM customer', weight => 'w');
-- what has no measure
SELECT * FROM mlops_evaluate_query('odd/1', 'customer');
-- a query that writes, and no query
SELECT * FROM mlops_evaluate_query('churn/1', 'DELETE FROM customer');
SELECT * FROM mlops_evaluate_query('churn/1', NULL);
-- no such set, no active version
SELECT * FROM mlops_evaluate('churn/1');
SELECT * FROM mlops_evaluate('churn/1', 'spring');
SELECT * FROM mlops_evaluate_query('churn', 'customer');

-- Judging needs the right to read the model, and rows are read as the caller.
CREATE ROLE regress_ml_judge;
GRANT USAGE ON SCHEMA evaluate_errors_test TO regress_ml_judge;
SET ROLE regress_ml_judge;
SELECT * FROM mlops_evaluate_query('churn/1', 'customer');
SELECT * FROM mlops_compare('churn', 1, 1, source => 'customer');
RESET ROLE;
SELECT mlops_grant('churn', 'regress_ml_judge', 'read');
SET ROLE regress_ml_judge;
SELECT * FROM mlops_evaluate_query('churn/1', 'customer');
RESET ROLE;
GRANT SELECT ON customer TO regress_ml_judge;
SET ROLE regress_ml_judge;
SELECT metric, n FROM mlops_evaluate_query('churn/1', 'SELECT * FROM customer WHERE id > 200', metrics => '{brier}');
SELECT count(*) FROM mlops_catalog.training_row;
RESET ROLE;

-- The evidence of models that one may not read is not there.
SET client_min_messages = warning;
SELECT mlops_create_validation_set('churn', 'rest', 'SELECT * FROM customer WHERE id > 200', key => 'id');
SELECT rows FROM mlops_refresh_validation_set('churn');
RESET client_min_messages;
SET ROLE regress_ml_judge;
SELECT count(*) FROM mlops_evaluate('churn/1', metrics => '{brier,accuracy}');
SELECT metric, evaluated_by FROM mlops.evaluation ORDER BY metric;
RESET ROLE;
SELECT mlops_revoke('churn', 'regress_ml_judge', 'read');
SET ROLE regress_ml_judge;
SELECT count(*) FROM mlops.evaluation;
SELECT * FROM mlops_evaluate('churn/1');
RESET ROLE;

SELECT mlops_drop_validation_set('churn', 'rest'), mlops_drop_model('churn'), mlops_drop_model('used'), mlops_drop_model('odd');
SET client_min_messages = warning;
DROP SCHEMA evaluate_errors_test CASCADE;
DROP ROLE regress_ml_judge;
