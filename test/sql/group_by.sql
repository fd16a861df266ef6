-- One CALL for groups: group_by trains a predictor for each value of a column
-- inside one version. A row is scored by the predictor of its group. What is
-- learned of the columns (the recipe) is learned from all rows.

CREATE SCHEMA group_by_test;
SET search_path = group_by_test;
SET client_min_messages = warning;

-- Each store has a line of its own: y = 10 s + (1 + s) price. Three rows are of
-- a store that is too small, some have none.
CREATE TABLE sale AS
SELECT i AS id, CASE WHEN i > 597 THEN 'tiny' WHEN i % 100 > 0 THEN 's' || i % 4 END AS store,
       CASE WHEN i > 597 THEN 77 WHEN i % 100 > 0 THEN i % 4 END AS number,
       i % 4 = 0 AS first, (i * 37 % 101)::float8 AS price,
       (10 * (i % 4) + (1 + i % 4) * (i * 37 % 101))::float8 AS y
  FROM generate_series(1, 600) i;

CALL mlops_train('pooled', 'sale', 'y', features => '{price}', algorithm => 'linear_regression', holdout => 0);
CALL mlops_train('stores', 'sale', 'y', features => '{price}', algorithm => 'linear_regression', holdout => 0, group_by => 'store');

-- ---- each group scores by its own rows; others by all rows ----

SELECT store, count(*), round(max(abs(mlops_predict('stores/1', s) - y))::numeric, 6) < 0.000001 AS exact,
       bool_and(abs(mlops_predict('stores/1', s) - mlops_predict('pooled/1', s)) < 0.000001) AS by_all_rows
  FROM sale s GROUP BY store ORDER BY store COLLATE "C";

-- a store that training did not have, and none at all
SELECT round((mlops_predict('stores/1', '{"store": "new", "price": 3}') / mlops_predict('pooled/1', '{"price": 3}'))::numeric, 9) AS unseen,
       round((mlops_predict('stores/1', '{"store": null, "price": 3}') / mlops_predict('pooled/1', '{"price": 3}'))::numeric, 9) AS missing;

-- the same on every path: row, record, JSON
SELECT DISTINCT mlops_predict('stores/1', s) = mlops_predict('stores/1', to_jsonb(s)) AS json,
       mlops_predict('stores/1', s) = mlops_predict('stores/1', ROW(s.*)::sale) AS record
  FROM sale s;

-- ---- what the version says ----

SELECT facts -> 'groups' AS groups, facts -> 'groups_fitted' AS fitted, facts -> 'groups_pooled' AS pooled,
       spec ->> 'group_by' AS group_by, spec -> 'options' -> 'min_group_rows' AS min_group_rows, warnings
  FROM mlops.version WHERE model = 'stores';

-- coefficients and importance are those of all rows; the group is none of them
SELECT c.term, round((c.estimate / p.estimate)::numeric, 9) AS ratio FROM mlops_coefficients('stores/1') c JOIN mlops_coefficients('pooled/1') p USING (term) ORDER BY term COLLATE "C";
SELECT feature, importance > 0 AS counts FROM mlops_importance('stores/1') ORDER BY feature COLLATE "C";

-- the card counts the groups
SELECT line FROM regexp_split_to_table(mlops_describe('stores/1'), E'\n') AS line WHERE line ~ 'of their own';
-- and says what the groups' kind of predictor makes of missing values
SELECT mlops_train_now('store_trees', (SELECT spec ->> 'source' FROM mlops.version WHERE model = 'stores' AND version = 1), (SELECT target FROM mlops.model WHERE model = 'stores'),
                       algorithm => 'decision_tree', exclude => '{id}', group_by => 'store') AS version;
SELECT line FROM regexp_split_to_table(mlops_describe('store_trees/1'), E'\n') AS line WHERE line ~ '^missing';
SELECT mlops_export('store_trees/1', 'xgboost');

-- an explanation is of the predictor that scored, and adds up
SELECT feature, value, round(contribution::numeric, 6) AS contribution FROM mlops_explain('stores/1', '{"store": "s2", "price": 5}') ORDER BY feature COLLATE "C";
SELECT round(mlops_predict('stores/1', '{"store": "s2", "price": 5}')::numeric, 6) AS score;

-- ---- numbers and booleans group by value ----

CALL mlops_train('numbers', 'sale', 'y', features => '{price}', algorithm => 'linear_regression', holdout => 0, group_by => 'number');
CALL mlops_train('flags', 'sale', 'y', features => '{price}', algorithm => 'linear_regression', holdout => 0, group_by => 'first');
SELECT model, facts -> 'groups' AS groups, facts -> 'groups_fitted' AS fitted FROM mlops.version WHERE model IN ('numbers', 'flags') ORDER BY 1;
SELECT bool_and(abs(mlops_predict('numbers/1', s) - mlops_predict('stores/1', s)) < 1e-9) AS as_by_name FROM sale s;

-- ---- any algorithm with a target ----

-- a constant a group is its mean
CALL mlops_train('means', 'sale', 'y', algorithm => 'baseline', holdout => 0, group_by => 'store');
SELECT store, round((avg(y) - min(mlops_predict('means/1', s)))::numeric, 9) AS difference
  FROM sale s WHERE store LIKE 's%' GROUP BY store ORDER BY store COLLATE "C";

-- classes: a group that lacks one cannot be fitted alone, which a warning says
CREATE TABLE visit AS SELECT 'g' || i % 3 AS g, i % 3 = 2 OR (i * 37 % 101) * (i % 3 * 2 - 1) + i * 13 % 40 > 20 AS yes, i * 37 % 101 AS x FROM generate_series(1, 600) i;
CALL mlops_train('visits', 'visit', 'yes', algorithm => 'logistic_regression', group_by => 'g');
SELECT facts -> 'groups_fitted' AS fitted, facts -> 'groups_pooled' AS pooled, w AS warning
  FROM mlops.version, unnest(warnings) w WHERE model = 'visits';

-- trees do not see the group, but are grown for each
CALL mlops_train('trees', 'sale', 'y', exclude => '{id, number, first}', algorithm => 'decision_tree', holdout => 0, group_by => 'store');
SELECT facts -> 'groups_fitted' AS fitted FROM mlops.version WHERE model = 'trees';
SELECT mlops_predict('trees/1', '{"store": "s3", "price": 100}') > 2 * mlops_predict('trees/1', '{"store": "s0", "price": 100}') AS own_trees;

-- weights count within a group as they do among all rows
CALL mlops_train('weighed', 'SELECT *, CASE WHEN price > 50 THEN 3 ELSE 1 END AS w FROM sale', 'y', features => '{price}',
                 algorithm => 'baseline', holdout => 0, weight => 'w', group_by => 'store');
SELECT round((sum(CASE WHEN price > 50 THEN 3 ELSE 1 END * y) / sum(CASE WHEN price > 50 THEN 3 ELSE 1 END) - min(mlops_predict('weighed/1', s)))::numeric, 9) AS difference
  FROM sale s WHERE store = 's1';

-- ---- how large a group must be ----

CALL mlops_train('large', 'sale', 'y', features => '{price}', algorithm => 'linear_regression', holdout => 0, group_by => 'store',
                 options => '{"min_group_rows": 149}');
SELECT facts -> 'groups_fitted' AS fitted FROM mlops.version WHERE model = 'large';
CALL mlops_train('none', 'sale', 'y', features => '{price}', algorithm => 'linear_regression', holdout => 0, group_by => 'store',
                 options => '{"min_group_rows": 1000}');
SELECT facts -> 'groups_fitted' AS fitted, warnings FROM mlops.version WHERE model = 'none';

-- with impute => 'drop' a row without a group is no row with something missing
CALL mlops_train('dropped', 'sale', 'y', features => '{price}', algorithm => 'linear_regression', params => '{"impute": "drop"}', holdout => 0, group_by => 'store');
SELECT rows_skipped, mlops_predict('dropped/1', '{"store": null, "price": 3}') IS NOT NULL AS scored,
       mlops_predict('dropped/1', '{"store": "s1", "price": null}') IS NULL AS dropped
  FROM mlops.version WHERE model = 'dropped';

-- ---- the spec carries it; the bytes repeat ----

CALL mlops_reproduce('stores/1');
CALL mlops_retrain('stores/1', '{"options": {"min_group_rows": 149}}');
SELECT encode(sha256, 'hex') = (SELECT encode(sha256, 'hex') FROM mlops.version WHERE model = 'large') AS as_large FROM mlops.version WHERE model = 'stores' AND version = 2;
CALL mlops_train('shuffled', 'SELECT * FROM sale ORDER BY hashint4(id)', 'y', features => '{price}', algorithm => 'linear_regression', holdout => 0, group_by => 'store');
SELECT count(DISTINCT sha256) FROM mlops.version WHERE model IN ('stores', 'shuffled') AND version = 1;
SELECT bool_and(ok) AS sound FROM mlops_verify();

-- ---- refused ----

CALL mlops_train('no', 'sale', 'y', group_by => 'shop');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('no', 'sale', 'y', group_by => 'y');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('no', 'sale', 'y', key => 'id', group_by => 'id');
CALL mlops_train('no', 'sale', 'y', exclude => '{store}', group_by => 'store');
CALL mlops_train('no', 'SELECT *, now() AS at FROM sale', 'y', features => '{price}', group_by => 'at');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('no', 'visit', 'yes', algorithm => 'logistic_regression', params => '{"calibration": "platt"}', group_by => 'g');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('no', 'sale', algorithm => 'kmeans', group_by => 'store');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('no', 'sale', 'y', group_by => 'store', options => '{"min_group_rows": 0}');

SELECT count(mlops_drop_model(model, force => true)::text) AS dropped
  FROM mlops.model WHERE model IN ('pooled', 'stores', 'numbers', 'flags', 'means', 'visits', 'trees', 'weighed', 'large', 'none', 'dropped', 'shuffled', 'store_trees');
DROP SCHEMA group_by_test CASCADE;
