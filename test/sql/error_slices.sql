-- Where does a version do worse than elsewhere? Conditions on one or two columns are
-- searched, and what is found by chance is held to a share.

CREATE SCHEMA error_slices_test;
SET search_path = error_slices_test;
SET client_min_messages = warning;
CREATE TABLE customer AS
SELECT i AS id, i % 60 AS age, (ARRAY['basic', 'pro', 'it''s'])[1 + i * 7 % 3] AS plan, i * 37 % 101 + i / 10000.0 AS used,
       CASE WHEN i % 11 = 0 THEN NULL ELSE i * 13 % 17 END AS "Visits", i % 2 = 0 AS active,
       ((i * 7919 % 1000) / 1000.0 < 1 / (1 + exp(-0.06 * (i % 60 - 30)))) AS churned
  FROM generate_series(1, 8000) AS i;
SELECT mlops_train_now('churn', 'SELECT age, plan, used, "Visits", active, churned FROM customer WHERE id <= 4000', 'churned', holdout => 0);
CREATE VIEW fresh AS SELECT * FROM customer WHERE id > 4000;
RESET client_min_messages;

-- The rows are like those of the training: nothing is worse in the plans, or where visits are unknown.
SELECT count(*) FROM mlops_error_slices('churn/1', source => 'fresh') WHERE condition !~ 'age|used';

-- The labels of one plan and of active customers are turned round: found, as a pair,
-- and neither of its conditions alone.
CREATE VIEW turned AS SELECT id, age, plan, used, "Visits", active, CASE WHEN plan = 'it''s' AND active THEN NOT churned ELSE churned END AS churned FROM fresh;
SELECT condition, metric, n, value > overall AS worse, difference = value - overall AS is_difference, p_value <= adjusted_p AND adjusted_p < 0.001 AS told
  FROM mlops_error_slices('churn/1', source => 'turned', max_slices => 1);
SELECT count(*) FROM mlops_error_slices('churn/1', source => 'turned') WHERE condition IN ('plan = ''it''''s''', 'active = true');

-- Where visits are unknown.
SELECT condition FROM mlops_error_slices('churn/1', source => 'SELECT age, plan, used, "Visits", active, CASE WHEN "Visits" IS NULL THEN NOT churned ELSE churned END AS churned FROM fresh', metric => 'accuracy', max_slices => 1);

-- A condition is SQL that chooses the rows that were counted, and becomes a slice of a set as it is.
SELECT condition AS worst, n AS counted FROM mlops_error_slices('churn/1', source => 'turned', max_slices => 1) \gset
SELECT count(*) = :counted AS same_rows FROM turned WHERE :worst;
SET client_min_messages = warning;
SELECT (mlops_promote('churn', 1)).version;
SELECT mlops_create_validation_set('churn', 'turned', 'SELECT * FROM turned', key => 'id');
SELECT rows FROM mlops_refresh_validation_set('churn');
RESET client_min_messages;
SELECT condition = :'worst' AS same, n = :counted AS rows FROM mlops_error_slices('churn', 'turned', max_slices => 1);

SELECT mlops_create_slice('churn', 'turned', 'worst', :'worst') = :counted AS named;
SELECT slice, n = :counted AS same_rows FROM mlops_evaluate('churn', 'turned', metrics => '{accuracy}') WHERE slice = 'worst';

-- Ranges of numbers have few digits and do not overlap.
SELECT condition FROM mlops_error_slices('churn/1', source => 'SELECT age, plan, used, "Visits", active, CASE WHEN used < 20 THEN NOT churned ELSE churned END AS churned FROM fresh', max_slices => 1);

-- refused
SELECT * FROM mlops_error_slices('churn/1', source => 'fresh', metric => 'roc_auc');
SELECT * FROM mlops_error_slices('churn/1', source => 'fresh', min_rows => 0);

SELECT mlops_drop_validation_set('churn', 'turned'), mlops_drop_model('churn', force => true);
SET client_min_messages = warning;
DROP SCHEMA error_slices_test CASCADE;
