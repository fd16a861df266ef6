-- The option "engine" says what runs the passes of a fit: memory, where the rows
-- are read once, or sql, where they stay where they are and each pass is a query,
-- an aggregate that the server can run in parallel. What comes out is the same
-- but for the rounding of sums. Without the option rows that do not fit into
-- mlops.max_training_memory are left where they are, with a notice.
CREATE SCHEMA engine;
SET search_path = engine;
\set SHOW_CONTEXT never

SET client_min_messages = error;
\i test/sql/include/engines.sql

-- numbers, booleans, categories with rare values and NULLs, weights
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics FROM compare('line', 'SELECT * FROM engine.t', 'y', weight => 'w', exclude => '{id,c,k,at,day,v}');
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics FROM compare('logit', 'engine.t', 'c', exclude => '{id,y,w,k,at,day,v}');
-- a query may end in a comment
SELECT difference < 1e-10 AS same, same_rows, same_metrics FROM compare('commented', 'SELECT a, b, y FROM engine.t -- all', 'y');

-- held out by key; penalties, with one column for every level; an indicator of what is missing
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics
  FROM compare('ridge', 'engine.t', 'y', params => '{"l2": 7, "missing_indicator": true}', key => 'id', exclude => '{c,k,at,day,v}');
SELECT terms, difference < 1e-8 AS same, same_rows, same_metrics
  FROM compare('lasso', 'engine.t', 'y', params => '{"l1": 40}', exclude => '{id,c,k,at,day,v}');
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics
  FROM compare('logit_ridge', 'engine.t', 'c', params => '{"l2": 7, "min_category_rows": 200}', exclude => '{id,y,w,k,at,day,v}');

-- generalized linear models
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics
  FROM compare('counts', 'SELECT a, b, plan, z, w, round(y * y)::int AS y FROM engine.t', 'y', 'glm', '{"family": "poisson"}', weight => 'w');
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics
  FROM compare('probit', 'engine.t', 'c', 'glm', '{"link": "probit", "l2": 3}', exclude => '{id,y,w,k,at,day,v}');

-- naive Bayes, from rows with missing values and categories as they are
SELECT mlops_train_now('bayes', 'engine.t', 'c', algorithm => 'naive_bayes', exclude => '{id,y,k,at,day,v}', weight => 'w', options => format('{"engine": "%s"}', e)::jsonb)
  FROM unnest('{memory,sql}'::text[]) AS e;
SELECT max(abs(mlops_predict('bayes/1', t) - mlops_predict('bayes/2', t))) < 1e-10 AS same FROM t;
SELECT bool_and(abs((e.number #>> '{}')::float8 - (s.holdout_metrics ->> e.name)::float8) <= 1e-9 * greatest(abs((e.number #>> '{}')::float8), 1e-3)) AS same_metrics
  FROM mlops.version AS m, mlops.version AS s, jsonb_each(m.holdout_metrics) AS e (name, number)
 WHERE m.model = 'bayes' AND m.version = 1 AND s.model = 'bayes' AND s.version = 2;

-- missing numbers are filled with the exact median, of rows or of their weights
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics
  FROM compare('median', 'SELECT z, a, plan, y FROM engine.t', 'y', params => '{"impute": "median"}');
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics
  FROM compare('weighted', 'SELECT z, a, plan, w, CASE WHEN id % 4 > 0 THEN at END AS at, y FROM engine.t', 'y', params => '{"impute": "median"}', weight => 'w');
-- where the weights meet half of their sum exactly the median is halfway to the next value
SELECT terms, difference < 1e-10 AS same FROM compare('half', 'SELECT x, w, x * x + coalesce(x, 7) AS y FROM (VALUES (1, 2), (2, 1), (4, 1), (9, 2), (NULL, 5)) AS v (x, w)', 'y', weight => 'w', params => '{"impute": "median", "l2": 1}', holdout => 0);

-- rows that are left out, and nothing held out
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics
  FROM compare('drop', 'SELECT a, b, z, f AS g, NULLIF(y, 1) AS y, i AS w FROM engine.t, LATERAL (SELECT id % 4 AS i) AS l', 'y',
            params => '{"impute": "drop"}', weight => 'w', holdout => 0);
SELECT rows_skipped FROM mlops.version WHERE model = 'drop' AND version = 2;

-- classes that are booleans, or integers
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics FROM compare('flag', 'SELECT a, b, c = ''yes'' AS c FROM engine.t', 'c');
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics
  FROM compare('number', 'SELECT a, b, (c = ''yes'')::int * 5 AS c FROM engine.t', 'c', algorithm => 'logistic_regression');

-- the versions score alike, and the spec says what ran
SELECT max(abs(mlops_predict('logit/1', t) - mlops_predict('logit/2', t))) < 1e-10 AS same FROM t;
SELECT version, spec #>> '{options,engine}' AS engine FROM mlops.version WHERE model = 'logit' ORDER BY 1;
SELECT mlops_train_now('default', 'SELECT a, b, y FROM engine.t', 'y');
SELECT spec #> '{options,engine}' IS NULL AS memory FROM mlops.version WHERE model = 'default';

-- what there is to say of columns is said
CREATE TABLE odd AS SELECT i AS id, i % 9 AS a, CASE WHEN i % 5 = 0 THEN i / 2.0 END AS half, NULL::int AS none, 1 AS one, (i % 7 > 3)::int AS two FROM generate_series(1, 3000) AS i;
SELECT mlops_train_now('odd', 'engine.odd', 'two', options => jsonb_build_object('engine', e)) FROM unnest('{memory,sql}'::text[]) AS e;
SELECT m.warnings = s.warnings AS same, unnest(s.warnings) AS warning FROM mlops.version AS m, mlops.version AS s WHERE m.model = 'odd' AND m.version = 1 AND s.model = 'odd' AND s.version = 2;

-- ---- rows that do not fit ----

SET mlops.max_training_memory = '1MB';
SELECT mlops_train_now('large', 'SELECT i % 7 AS a, sin(i) AS b, i % 7 + sin(i) AS y FROM generate_series(1, 60000) AS i', 'y');
SELECT rows_read, spec #>> '{options,engine}' AS engine, (SELECT count(*) FROM unnest(warnings) AS w WHERE w LIKE '%sample%') AS sampled
  FROM mlops.version WHERE model = 'large';
SELECT term, round(estimate::numeric, 6) AS estimate FROM mlops_coefficients('large/1') ORDER BY term COLLATE "C";
RESET mlops.max_training_memory;

-- ---- refused ----

SET client_min_messages = warning;
SELECT mlops_train_now('no', 'SELECT a, b, y FROM engine.t', 'y', algorithm => 'baseline', options => '{"engine": "sql"}');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_train_now('no', 'SELECT a, b, y FROM engine.t', 'y', options => '{"engine": "sparc"}');
SELECT mlops_train_now('no', 'SELECT a, ''NaN''::float8 AS b, y FROM engine.t', 'y', options => '{"engine": "sql"}');
SELECT mlops_train_now('no', 'SELECT a, b, CASE WHEN id = 6000 THEN ''NaN'' ELSE y END AS y FROM engine.t', 'y', options => '{"engine": "sql"}');
SELECT mlops_train_now('no', 'SELECT a, id::text AS name, y FROM engine.t', 'y', options => '{"engine": "sql"}');
SELECT mlops_train_now('no', 'SELECT a, w - w AS w, NULLIF(y, 5) AS y FROM engine.t', 'y', weight => 'w', options => '{"engine": "sql"}');
SELECT mlops_train_now('no', 'SELECT a, y FROM engine.t WHERE id = 1', 'y', holdout => 0.99, options => '{"engine": "sql"}');
SELECT mlops_train_now('no', 'SELECT a, b, round(y * y) AS y FROM engine.t', 'y', algorithm => 'glm', params => '{"offset": "b"}', options => '{"engine": "sql"}');
\set VERBOSITY terse
SELECT mlops_train_now('no', 'SELECT a, 1 AS one, 2 AS y FROM engine.t', 'y', options => '{"engine": "sql"}');
SELECT mlops_train_now('no', 'SELECT 1 AS one, y FROM engine.t', 'y', options => '{"engine": "sql"}');
SELECT mlops_train_now('no', 'SELECT id::text, y FROM engine.t', 'y', options => '{"engine": "sql"}');
SELECT mlops_train_now('no', 'SELECT a, y, -w AS w FROM engine.t', 'y', weight => 'w', options => '{"engine": "sql"}');
SELECT mlops_train_now('no', 'SELECT a, y FROM engine.t WHERE false', 'y', options => '{"engine": "sql"}');
-- the source may not write here either
CREATE TABLE log (x int);
CREATE FUNCTION spy(x float8) RETURNS float8 LANGUAGE sql AS 'INSERT INTO engine.log VALUES (1); SELECT $1';
SELECT mlops_train_now('no', 'SELECT engine.spy(a) AS a, y FROM engine.t', 'y', options => '{"engine": "sql"}');

SET client_min_messages = error;
SELECT count(mlops_drop_model(m)::text) FROM unnest('{line,logit,ridge,median,counts,probit,bayes,lasso,logit_ridge,drop,flag,number,default,large,commented,odd,weighted,half}'::text[]) AS m;
DROP SCHEMA engine CASCADE;
