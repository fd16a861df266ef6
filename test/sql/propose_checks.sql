-- mlops_propose_checks looks at the rows that a version was trained on and says
-- what would be unlike them; each check comes with its reason.
CREATE SCHEMA ml_propose_checks;
SET search_path = ml_propose_checks;
\set SHOW_CONTEXT never
-- 1,000 rows: age from 20 to 69, income with one slip of the decimal point, shoe size missing in
-- a tenth, three plans, and cities of which 60 are rare
CREATE TABLE person AS
SELECT i AS id, 20 + i % 50 AS age, CASE WHEN i = 500 THEN 4e9 ELSE 2000 + i END AS income, CASE WHEN i % 10 > 0 THEN 36 + i % 10 END AS shoe,
       (ARRAY['basic', 'pro', 'gold'])[1 + i % 3] AS plan, CASE WHEN i % 10 = 0 THEN 'village ' || i % 600 ELSE 'town' END AS city,
       i % 4 = 0 AS member, 7 AS constant, date '2024-01-01' + i % 300 AS joined, ARRAY[i % 5, -(i % 3)]::float8[] AS place, i % 50 + i % 7 > 27 AS bought
  FROM generate_series(1, 1000) AS i;
SET client_min_messages = error;
SELECT mlops_train_now('buys', 'SELECT * FROM person', 'bought', 'logistic_regression', exclude => '{id}', holdout => 0, params => '{"l2": 1, "min_category_rows": 20}') AS version;
RESET client_min_messages;
CREATE TABLE proposed AS SELECT c, n FROM jsonb_array_elements(mlops_propose_checks('buys/1')) WITH ORDINALITY AS p(c, n);
SELECT c ->> 'name' AS name, c ->> 'check' AS kind, c ->> 'severity' AS severity, coalesce(c ->> 'column', (c -> 'columns')::text) AS columns FROM proposed ORDER BY n;
-- a tenth more than the range on either side: 20 - 4.9 and 69 + 4.9; what was never negative does not become so;
-- the slip does not let everything through
SELECT c ->> 'column' AS "column", (c -> 'low')::float8 AS low, (c -> 'high')::float8 AS high, c ->> 'reason' AS reason FROM proposed WHERE c ->> 'check' = 'range' ORDER BY n;
SELECT (c -> 'high')::float8 BETWEEN 3000 AND 20000 AS income FROM proposed WHERE c ->> 'column' = 'income';
-- shares: 0.05 where there were none, 0.2 for a tenth
SELECT c ->> 'check' AS kind, c -> 'bounds' AS bounds FROM proposed WHERE c ->> 'severity' = 'drift' ORDER BY n;

-- they are checks as they stand, and hold for nearly every row of training
SELECT mlops_create_rules('buys', checks => (SELECT jsonb_agg(c ORDER BY n) FROM proposed)) AS number;
SET client_min_messages = error;
SELECT version, rules FROM mlops_promote('buys', 1, rules => 1);
RESET client_min_messages;
SELECT rule, rows, fired FROM mlops_check_rules('buys', 1, 'person') WHERE fired > 0;
-- and find what is broken: a unit that changes, a feed that goes NULL, a new plan, a number as text; of a check of
-- several columns, which of them it is
SELECT what, (SELECT string_agg(feature || ' ' || value, ', ' ORDER BY feature COLLATE "C") FROM mlops_explain('buys', to_jsonb(p) || change) WHERE feature LIKE '(check%') AS failed
  FROM person AS p, (VALUES ('as it is', '{}'::jsonb), ('income in cents', '{"income": 250000}'), ('no age', '{"age": null}'), ('no shoe size', '{"shoe": null}'),
                            ('new plan', '{"plan": "platinum"}'), ('new city', '{"city": "Atlantis"}'), ('text', '{"age": "40"}')) AS v(what, change)
 WHERE id = 11 ORDER BY what COLLATE "C";

-- many columns: one check of the ranges of all, but of the three that are constant (a13, a26, a39)
CREATE TABLE wide AS SELECT i AS y, x.* FROM generate_series(1, 60) AS i,
    LATERAL (SELECT i % 7 AS a1, i % 5 AS a2, i % 11 AS a3) AS x;
DO $$
BEGIN
    FOR i IN 4..45 LOOP
        EXECUTE format('ALTER TABLE wide ADD COLUMN a%s float8', i);
        EXECUTE format('UPDATE wide SET a%s = (y * %s) %% 13', i, i);
    END LOOP;
END $$;
SET client_min_messages = error;
SELECT mlops_train_now('wide', 'SELECT * FROM wide', 'y', 'random_forest', params => '{"trees": 5}') AS version;
RESET client_min_messages;
SELECT c ->> 'name' AS name, (SELECT count(*) FROM jsonb_object_keys(c -> 'bounds')) AS columns FROM jsonb_array_elements(mlops_propose_checks('wide/1')) AS c WHERE c ->> 'check' = 'range';
SELECT mlops_create_rules('wide', checks => mlops_propose_checks('wide/1')) AS number;

-- a version without a profile of its rows, as one that was imported: what its recipe knows
SELECT mlops_import('copy', (SELECT mlops_export('buys/1', 'json')), 'json') AS version;
SELECT c ->> 'name' AS name, c ->> 'check' AS kind, c -> 'low' AS low, c -> 'high' AS high FROM jsonb_array_elements(mlops_propose_checks('copy/1')) WITH ORDINALITY AS p(c, n)
 WHERE c ->> 'column' IN ('age', 'shoe') ORDER BY n;

SET client_min_messages = error;
SELECT mlops_drop_model(m, force => true) FROM unnest(ARRAY['buys', 'wide', 'copy']) AS m;
DROP SCHEMA ml_propose_checks CASCADE;
