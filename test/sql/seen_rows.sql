-- Rows that a version was trained on are known again by features and target, whatever
-- else is beside them, and are left out when it is judged.

CREATE SCHEMA seen_rows_test;
SET search_path = seen_rows_test;
SET client_min_messages = warning;
CREATE TABLE customer AS
SELECT i AS id, i % 60 AS age, (ARRAY['basic', 'pro', NULL])[1 + i * 7 % 3] AS plan, i / 100.0 AS used, date '2024-01-01' + i % 400 AS joined,
       ARRAY[i % 5, i % 7]::float8[] AS vector, (i * 7919 % 1000) / 1000.0 < 1 / (1 + exp(-0.06 * (i % 60 - 30))) AS churned
  FROM generate_series(1, 2000) AS i;
CREATE FUNCTION seen(model text, source text, target text DEFAULT NULL) RETURNS text LANGUAGE sql AS
'SELECT concat(n, '' new, '', coalesce(seen::text, ''unknown''), '' seen'') FROM mlops_evaluate_query(model, source, target, metrics => ''{log_loss}'')';

-- All kinds of columns, NULLs too; the hold-out is new to the version.
SELECT mlops_train_now('churn', 'SELECT age, plan, used, joined, vector, churned FROM customer WHERE id <= 1000', 'churned', holdout => 0.25);
SELECT seen('churn/1', 'customer') = concat(2000 - rows_training, ' new, ', rows_training, ' seen') AS training_part FROM mlops.version WHERE model = 'churn' AND version = 1;

-- Other columns, their order, types that hold the same values, another name of the target: the same rows.
SELECT seen('churn/1', 'SELECT churned, vector::numeric[], joined::timestamp, used::float8, plan::varchar, age::bigint, id FROM customer') = seen('churn/1', 'customer') AS same;
SELECT seen('churn/1', 'SELECT *, churned AS truth FROM (SELECT age, plan, used, joined, vector, churned FROM customer) AS c', 'truth') = seen('churn/1', 'customer') AS same;

-- A row that differs in one value, or in its label, is another row.
SELECT seen('churn/1', 'SELECT age, plan, used + 0.001 AS used, joined, vector, churned FROM customer'), seen('churn/1', 'SELECT age, plan, used, joined, vector, NOT churned AS churned FROM customer');

-- A weight, a key and a time are no part of a row.
SELECT mlops_train_now('churn', 'SELECT id, age, plan, used, joined, churned, 1 + id % 3 AS w FROM customer WHERE id <= 1000', 'churned', key => 'id', time_column => 'joined', weight => 'w', holdout => 0);
SELECT seen('churn/2', 'SELECT age, plan, used, churned FROM customer');

-- Rows of few different values are equal by chance. Where the training was told a key, and the rows have it, a row with another
-- key is another row; without the key the values alone decide.
SET client_min_messages = error;
SELECT mlops_train_now('few', 'SELECT id, age % 3 AS third, plan, churned FROM customer WHERE id <= 1000', 'churned', key => 'id', holdout => 0);
SET client_min_messages = warning;
SELECT seen('few/1', 'SELECT id, age % 3 AS third, plan, churned FROM customer') AS by_key;
SELECT seen('few/1', 'SELECT age % 3 AS third, plan, churned FROM customer') AS by_values;

-- refit learns from the held-out rows too
SELECT mlops_train_now('churn', 'SELECT age, used, churned FROM customer WHERE id <= 1000', 'churned', holdout => 0.25, options => '{"refit": true}');
SELECT seen('churn/3', 'customer');

-- The columns are those of the rows that are scored, in front of an encoder too; groups.
SELECT mlops_train_now('parts', 'SELECT age, used FROM customer WHERE id <= 1000', algorithm => 'pca', params => '{"components": 2}');
SELECT mlops_train_now('churn', 'SELECT age, used, churned FROM customer WHERE id <= 1000', 'churned', holdout => 0, params => '{"encoder": "parts/1"}');
SELECT seen('churn/4', 'customer');
SELECT mlops_train_now('churn', 'SELECT age, plan, used, churned FROM customer WHERE id <= 1000', 'churned', holdout => 0, group_by => 'plan');
SELECT seen('churn/5', 'customer');

-- A filter takes few other rows for ones that were seen: one of 10,000 at most.
SELECT mlops_train_now('churn', 'SELECT age, used, churned FROM customer WHERE id <= 1000', 'churned', holdout => 0, options => '{"row_fingerprints": "filter"}');
SELECT seen >= 1000 AS all_known, seen - 1000 <= 10 AS few_others
  FROM mlops_evaluate_query('churn/6', 'SELECT age, used, churned FROM customer WHERE id <= 1000 UNION ALL SELECT age, used + n, churned FROM customer, generate_series(100, 119) AS n', metrics => '{log_loss}');
SELECT version, bits = 64 AS exact, sum(octet_length(data)) / 1000 <= CASE bits WHEN 64 THEN 8 ELSE 3 END AS small
  FROM mlops_catalog.training_row WHERE version IN (3, 6) AND model = 'churn' GROUP BY version, bits ORDER BY 1;

-- Nothing kept, or trained where the rows are: not known, and so said.
SELECT mlops_train_now('churn', 'SELECT age, used, churned FROM customer WHERE id <= 1000', 'churned', holdout => 0, options => '{"row_fingerprints": "none"}');
SELECT mlops_train_now('churn', 'SELECT age, used, churned FROM customer WHERE id <= 1000', 'churned', holdout => 0, options => '{"engine": "sql"}');
RESET client_min_messages;
SELECT seen('churn/7', 'customer');
SELECT seen('churn/8', 'customer');

-- With include_seen they count; where all are seen there is nothing to judge by.
SELECT n, seen FROM mlops_evaluate_query('churn/3', 'customer', metrics => '{log_loss}', include_seen => true);
SELECT * FROM mlops_evaluate_query('churn/3', 'SELECT * FROM customer WHERE id <= 1000');

-- They go with their version.
SELECT mlops_drop_version('churn', 6);
SELECT array_agg(DISTINCT version ORDER BY version) AS versions FROM mlops_catalog.training_row WHERE model = 'churn';
SELECT mlops_drop_model('churn'), mlops_drop_model('parts'), mlops_drop_model('few');
SELECT count(*) FROM mlops_catalog.training_row;
SET client_min_messages = warning;
DROP SCHEMA seen_rows_test CASCADE;
