-- Looking at a version: mlops_coefficients() in the units of the data,
-- mlops_importance() in the units of the prediction, mlops_describe() as a
-- card to read. The privilege "read" is enough, and needed, for all three.

CREATE SCHEMA look_test;
SET search_path = look_test;
SET client_min_messages = warning;

-- the price of a flat: 1000 + 20 for each square metre, 300 more in the
-- centre; double is twice the area, and says nothing new
CREATE TABLE flats AS
SELECT i AS id, 30 + i * 7 % 60 AS area, 2 * (30 + i * 7 % 60) AS double,
       (ARRAY['centre', 'north', 'south'])[i % 3 + 1] AS part,
       CASE WHEN i % 5 <> 0 THEN i * 3 % 40 END AS age,
       1000 + 20 * (30 + i * 7 % 60) + CASE WHEN i % 3 = 0 THEN 300 ELSE 0 END + (i * 31 % 11 - 5) AS price
  FROM generate_series(1, 240) AS i;
CREATE TABLE sales AS
SELECT *, id * 37 % 241 AS street, CASE WHEN ('x' || substr(md5(i::text), 1, 4))::bit(16)::int % 101 < area THEN 'yes' ELSE 'no' END AS sold
  FROM flats, LATERAL (SELECT id AS i) AS l;

SET client_min_messages = error;
SELECT mlops_train_now('look_price', 'flats', 'price', features => '{area, double, part, age}', holdout => 0) AS version;
SELECT mlops_train_now('look_price', 'flats', 'price', algorithm => 'baseline', features => '{area, part}') AS version;
SELECT mlops_train_now('look_sold', 'sales', 'sold', features => '{area, part, street}', params => '{"l2": 0}', note => 'the first try') AS version;
SELECT mlops_set_alias('look_sold', 'first', 1);
SELECT (mlops_promote('look_sold', 1)).version;
RESET client_min_messages;

-- ---- coefficients ----

-- the intercept comes first; a column that others determine has no estimate;
-- the first level in C order, centre, is what the others are compared with
SELECT term, feature, round(estimate::numeric / 10) * 10 AS about,
       std_error > 0 AS has_error, p_value < 0.001 AS significant, odds_ratio
  FROM mlops_coefficients('look_price/1');

-- a t value is the estimate in standard errors
SELECT count(*), bool_and(abs(statistic - estimate / std_error) < 1e-9 * abs(statistic)) AS agree
  FROM mlops_coefficients('look_price/1') WHERE estimate IS NOT NULL;

-- a logistic regression also has odds ratios
SELECT term, abs(odds_ratio - exp(estimate)) < 1e-12 AS is_exp, estimate > 0 AS raises
  FROM mlops_coefficients('look_sold') WHERE term IN ('(intercept)', 'area');

-- the baseline is a constant
SELECT c.term, c.estimate - a.mean < 1e-9 AS is_mean, c.std_error
  FROM mlops_coefficients('look_price/2') AS c,
       (SELECT (facts ->> 'mean')::float8 AS mean FROM mlops.version WHERE model = 'look_price' AND version = 2) AS a;

-- ---- importance ----

-- what a difference of one standard deviation changes: of area 20 times its
-- deviation, of part 300 times that of an indicator of the centre
SELECT feature, importance > 0 AS matters, round(share::numeric, 1) AS share
  FROM mlops_importance('look_price/1');
SELECT i.feature, abs(i.importance - e.expected) < 0.02 * e.expected AS as_expected
  FROM mlops_importance('look_price/1') AS i
  JOIN (SELECT 'area' AS feature, 20 * stddev_pop(area) AS expected FROM flats
         UNION ALL
        SELECT 'part', 300 * stddev_pop((part = 'centre')::int) FROM flats) AS e ON e.feature = i.feature;
SELECT sum(share) FROM mlops_importance('look_price/1');
SELECT * FROM mlops_importance('look_price/2');

-- ---- the card ----

-- everything but what changes from one run or machine to the next
CREATE FUNCTION card(model text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT rtrim(line) FROM regexp_split_to_table(regexp_replace(mlops_describe(model), E'\nbuilds.*', ''), E'\n') AS line
     WHERE line !~ '^ *(fingerprint|trained)'
$$;
SELECT card('look_price/1');
SELECT card('look_price/2');
SELECT card('look_sold');
SELECT mlops_describe('look_sold@first') = mlops_describe('look_sold') AS same_version,
       mlops_describe('look_sold') LIKE E'%\nnote        the first try\n%' AS has_note,
       mlops_describe('look_sold') ~ 'artifact    format 2, [0-9]+ bytes, SHA-256 [0-9a-f]{64}' AS has_checksum;

-- a threshold given to mlops_promote is that of what serves, not of the version
SELECT version, threshold FROM mlops_promote('look_sold', 1, threshold => 0.3);
SELECT line FROM card('look_sold') AS line WHERE line ~ '^predicts';
SELECT mlops_predict_label('look_sold', s) IS DISTINCT FROM mlops_predict_label('look_sold/1', s) AS differs, count(*) > 0 AS some
  FROM sales AS s GROUP BY 1 ORDER BY 1;

-- so are rules: the card has those of the bundle, with the names of what is in them; a canary has its own
BEGIN;
SELECT mlops_create_rules('look_sold', '[{"name": "few", "when": "prediction < 0.1", "then": {"set": 0}}, {"name": "many", "when": "prediction > 0.9", "then": {"set": 1}}]');
SELECT mlops_create_rules('look_sold', '[]', checks => '[{"name": "known", "check": "missing"}]');
SELECT count(*) AS lines FROM card('look_sold') AS line WHERE line ~ 'rule set';
SELECT version FROM mlops_promote('look_sold', 1, rules => 1);
SELECT line FROM card('look_sold') AS line WHERE line ~ 'rule set';
SELECT version FROM mlops_promote('look_sold', 1, rules => 2, share => 0.5);
SELECT line FROM card('look_sold') AS line WHERE line ~ 'rule set';
ROLLBACK;

-- ---- refused ----

SELECT * FROM mlops_coefficients('look_prize/1');
SELECT mlops_describe('look_price');
SELECT * FROM mlops_importance('look_price/9');
SELECT * FROM mlops_coefficients('look_price/x');
SELECT mlops_describe(NULL) IS NULL AS nothing;

CREATE ROLE regress_ml_reader;
SET ROLE regress_ml_reader;
SELECT count(*) FROM mlops_coefficients('look_price/1');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT mlops_grant('look_price', 'regress_ml_reader', 'predict');
SET ROLE regress_ml_reader;
SELECT mlops_describe('look_price/1');
RESET ROLE;
SELECT mlops_grant('look_price', 'regress_ml_reader', 'read');
SET ROLE regress_ml_reader;
SELECT count(*) FROM mlops_coefficients('look_price/1');
SELECT mlops_describe('look_price/1') LIKE 'version     look_price/1%' AS described;
RESET ROLE;

SET client_min_messages = warning;
SELECT mlops_drop_model('look_price'), mlops_drop_model('look_sold', force => true);
DROP ROLE regress_ml_reader;
DROP SCHEMA look_test CASCADE;
