-- A slice is a value of a column, of two columns, or a condition. What a row
-- is in is decided when it enters, as the slice's author; a slice that is made
-- later is decided for the rows that are there. A minimum of each is kept.
CREATE SCHEMA ml_slices;
SET search_path = ml_slices;
SET timezone = 'UTC';
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE TABLE customer AS
SELECT i AS id, timestamptz '2026-01-01' + i * interval '1 minute' AS at, (ARRAY['basic', 'pro', NULL])[1 + i % 3] AS plan,
       i % 2 = 0 AS abroad, i % 500 AS tenure, i % 4 = 0 AS churned
  FROM generate_series(0, 9999) AS i;
SELECT mlops_create_model('churn', target => 'churned');
SELECT mlops_create_validation_set('churn', 'recent', 'customer', key => 'id', time_column => 'at', period => '5 days',
       max_rows => 1000, slices => '{plan, "abroad x plan", "tenure < 2", "tenure BETWEEN 100 AND 149 OR plan IS NULL"}', min_rows => 20);
SELECT edition, rows <= 1000 AS within FROM mlops_refresh_validation_set('churn', 'recent', '2026-01-06');
SELECT name, rows >= 20 AS enough FROM mlops.slice WHERE model = 'churn' ORDER BY name COLLATE "C";
-- 0.4 % of the customers are new, 30 in all: without a minimum about 4 of them would be there. Weights make up for it
SELECT count(*) >= 20 AS enough, sum((e ->> 'mlops_weight')::float8) BETWEEN 24 AND 36 AS weigh_what_they_are
  FROM mlops_edition('churn', 'recent') AS e WHERE (e ->> 'tenure')::int < 2;
-- numbers say what a row is in
SELECT count(*) FILTER (WHERE (e -> 'mlops_slices' @> to_jsonb(s.number)) <> (e ->> 'plan' = 'pro')) AS wrong
  FROM mlops_edition('churn', 'recent') AS e, mlops.slice AS s WHERE s.name = 'plan = ''pro''';

-- named afterwards: the rows that are there are decided, of every edition; fingerprints stay
SELECT edition FROM mlops_refresh_validation_set('churn', 'recent', '2026-01-07');
SELECT mlops_create_slice('churn', 'recent', 'loyal', 'tenure > 400 AND NOT abroad') > 0 AS some;
SELECT edition, count(*) FILTER (WHERE e -> 'mlops_slices' @> to_jsonb(s.number)) > 0 AS some,
       bool_and((e -> 'mlops_slices' @> to_jsonb(s.number)) = ((e ->> 'tenure')::int > 400 AND e ->> 'abroad' = 'false')) AS right_ones
  FROM mlops.slice AS s, generate_series(1, 2) AS edition, mlops_edition('churn', 'recent', edition) AS e
 WHERE s.name = 'loyal' GROUP BY edition ORDER BY edition;
SELECT edition, mlops_verify_edition('churn', 'recent', edition) AS fingerprint FROM mlops.edition ORDER BY edition;
SELECT edition FROM mlops_refresh_validation_set('churn', 'recent', '2026-01-07 12:00+00');
SELECT bool_and((e -> 'mlops_slices' @> to_jsonb(s.number)) = ((e ->> 'tenure')::int > 400 AND e ->> 'abroad' = 'false')) AS new_rows_too
  FROM mlops.slice AS s, mlops_edition('churn', 'recent') AS e WHERE s.name = 'loyal';
SELECT mlops_drop_slice('churn', 'recent', 'loyal');
SELECT mlops_drop_slice('churn', 'recent', 'plan = ''pro''');

-- one boolean expression over the columns of the source, and nothing else
SELECT mlops_create_slice('churn', 'recent', 'x', 'tenur < 6');
SELECT mlops_create_slice('churn', 'recent', 'x', 'tenure <');
SELECT mlops_create_slice('churn', 'recent', 'x', 'tenure');
SELECT mlops_create_slice('churn', 'recent', 'x', 'true), (true');
SELECT mlops_create_slice('churn', 'recent', 'x', 'true) FROM customer WHERE (true');
SELECT mlops_create_slice('churn', 'recent', 'x', 'tenure < 6) OR (true');
SELECT mlops_create_slice('churn', 'recent', 'x', 'true) UNION SELECT (true');
SELECT mlops_create_slice('churn', 'recent', 'x', 'true); DROP TABLE customer; SELECT (true');
SELECT mlops_create_slice('churn', 'recent', 'x', 'true) --');
SELECT mlops_create_slice('churn', 'recent', 'x', 'count(*) > 1');
SELECT mlops_create_slice('churn', 'recent', 'x', 'rank() OVER () > 1');
SELECT mlops_create_slice('churn', 'recent', 'tenure < 2', 'true');
SELECT mlops_create_slice('churn', 'recent', 'pinned', 'true');
SELECT mlops_drop_slice('churn', 'recent', 'tenure < 3');
SELECT mlops_create_validation_set('churn', 'x', 'customer', key => 'id', slices => '{plan, plna}');
SELECT mlops_create_validation_set('churn', 'x', 'customer', key => 'id', slices => '{tenure > 1, tenure > 1}');
-- a comment at the end comments out nothing of ours
SELECT mlops_create_slice('churn', 'recent', 'commented', 'tenure > 250 -- the old ones') > 0 AS some;

-- a column of too many values makes slices of the first 200
SELECT mlops_create_validation_set('churn', 'many', 'customer', key => 'id', slices => '{tenure}');
SELECT edition FROM mlops_refresh_validation_set('churn', 'many');
SELECT count(*) FROM mlops.slice WHERE validation_set = 'many';

-- rows are decided some at a time, and all of them: here they fill a few hundred blocks
SELECT mlops_create_validation_set('churn', 'wide', 'SELECT * FROM customer', key => 'id');
SELECT rows FROM mlops_refresh_validation_set('churn', 'wide');
SELECT mlops_create_slice('churn', 'wide', 'every fifth', 'id % 5 = 0') AS rows;
SELECT count(*), bool_and((e ->> 'id')::int % 5 = 0) AS right_ones
  FROM mlops.slice AS s, mlops_edition('churn', 'wide') AS e WHERE s.validation_set = 'wide' AND e -> 'mlops_slices' @> to_jsonb(s.number);

-- a condition is read as when it was written: backslashes in strings do not open it up for another query
SELECT mlops_create_validation_set('churn', 'few', 'SELECT * FROM customer WHERE id < 200', key => 'id');
SELECT edition FROM mlops_refresh_validation_set('churn', 'few');
SET extra_float_digits = 0;
SELECT mlops_create_slice('churn', 'few', 'strings', $$plan <> '\' AND plan <> ') UNION ALL SELECT 99999999999::bigint WHERE (true --'$$) AS rows;
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SELECT mlops_pin('churn', 'few', '7') AS edition;
RESET standard_conforming_strings;
RESET extra_float_digits;
-- nor does the caller turn what is never true, plan = NULL, into what is true of rows without a plan
SELECT mlops_create_slice('churn', 'few', 'never', 'plan = NULL') AS rows;
UPDATE customer SET tenure = 7 WHERE plan IS NULL AND id < 200;
SET transform_null_equals = on;
SELECT edition FROM mlops_refresh_validation_set('churn', 'few');
RESET transform_null_equals;
SELECT count(*) AS pretended FROM mlops.slice AS s, mlops_edition('churn', 'few') AS e
 WHERE s.validation_set = 'few' AND s.name = 'never' AND e -> 'mlops_slices' @> to_jsonb(s.number);

SELECT mlops_drop_model('churn');
DROP SCHEMA ml_slices CASCADE;
