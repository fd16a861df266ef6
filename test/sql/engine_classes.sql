-- Several classes, weights of classes, l1 and paths of penalties by queries over
-- the source: the passes are those of memory, and so are the estimates.
CREATE SCHEMA engine_classes;
SET search_path = engine_classes;
SET client_min_messages = error;
\set SHOW_CONTEXT never
\i test/sql/include/engines.sql

-- how far apart two versions' probabilities are
CREATE FUNCTION apart(model text) RETURNS float8 LANGUAGE sql AS $$
    SELECT max(abs(m.value::float8 - s.value::float8))
      FROM engine_classes.t, jsonb_each_text(mlops_predict_proba(model || '/1', t)) AS m, jsonb_each_text(mlops_predict_proba(model || '/2', t)) AS s
     WHERE m.key = s.key
$$;

-- ---- several classes ----

SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics
  FROM compare('bayes', 'engine_classes.t', 'k', 'naive_bayes', weight => 'w', exclude => '{id}');
SELECT apart('bayes') < 1e-10 AS same;

-- without a penalty the first class is the reference; with one every class has coefficients
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics
  FROM compare('softmax', 'SELECT a, b, z, f, v, w, k FROM engine_classes.t', 'k', weight => 'w');
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics
  FROM compare('ridge', 'SELECT a, b, z, plan, k FROM engine_classes.t', 'k', params => '{"l2": 3}');
SELECT apart('softmax') < 1e-10 AS same, apart('ridge') < 1e-10 AS same_ridge;

-- with l1 alone coefficients of several classes need not be unique, but predictions are
SELECT same_rows, same_metrics FROM compare('lasso', 'SELECT a, b, z, f, plan, k FROM engine_classes.t', 'k', params => '{"l1": 9}');
SELECT apart('lasso') < 1e-8 AS same;
SELECT terms, difference < 1e-8 AS same, same_rows, same_metrics
  FROM compare('net', 'SELECT a, b, z, f, plan, k FROM engine_classes.t', 'k', params => '{"l1": 9, "l2": 2}');

-- integers are classes to classifiers, and a class may have no training row
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics
  FROM compare('numbers', 'SELECT a, b, z, id % 3 * 2 AS c FROM engine_classes.t', 'c', 'logistic_regression');
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics
  FROM compare('unseen', 'SELECT a, b, z, id, CASE WHEN id > 5990 THEN ''new'' ELSE k END AS k FROM engine_classes.t', 'k', params => '{"l2": 1}', time_column => 'id');
SELECT mlops_predict_proba('unseen/2', t) ->> 'new' < '1e-10' AS never FROM t WHERE id = 1;

-- ---- two classes: l1 and paths ----

SELECT terms, difference < 1e-8 AS same, same_rows, same_metrics
  FROM compare('two', 'SELECT a, b, z, plan, c FROM engine_classes.t', 'c', params => '{"l1": 5}');
SELECT terms, difference < 1e-8 AS same, same_rows, same_metrics
  FROM compare('path', 'SELECT a, b, z, f, v, c FROM engine_classes.t', 'c', params => '{"path": "aic", "path_l1_ratio": 0.5, "path_lambdas": 20}');
SELECT count(DISTINCT facts -> 'nonzero') AS as_many_coefficients, count(DISTINCT facts -> 'path_nonzero') AS along_the_path FROM mlops.version WHERE model = 'path';
SELECT terms, difference < 1e-8 AS same, same_rows, same_metrics
  FROM compare('line', 'SELECT a, b, z, f, v, plan, y FROM engine_classes.t', 'y', params => '{"path": "bic"}');

-- ---- weights of classes ----

SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics
  FROM compare('balanced', 'engine_classes.t', 'c', params => '{"class_weight": "balanced"}', weight => 'w', exclude => '{id,k,y}');
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics
  FROM compare('given', 'SELECT a, b, z, c FROM engine_classes.t', 'c', params => '{"class_weights": {"yes": 5}}');
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics
  FROM compare('several', 'SELECT a, b, z, k FROM engine_classes.t', 'k', params => '{"class_weights": {"odd": 7, "low": 0.5}}');

-- ---- the same passes as aggregates ----

CREATE FUNCTION fit(params jsonb, classes int) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    pass mlops.state := mlops.pass('logistic_regression', params, classes);
    state mlops.state;
BEGIN
    LOOP
        -- states of parts, as bytes, merge to that of all rows
        SELECT mlops.merge(s::text::mlops.state) INTO state
          FROM (SELECT mlops.logistic_regression_state(id % 3, ARRAY[a, b, sin(id)], 1, pass) AS s FROM t GROUP BY id % 8
                UNION ALL SELECT mlops.logistic_regression_state(0, ARRAY[a, b, a], 1, pass) FROM t WHERE false) AS q;
        pass := mlops.next(state);
        EXIT WHEN pass IS NULL;
    END LOOP;
    RETURN mlops.final(state);
END
$$;
SELECT mlops_train_now('trained', 'SELECT a, b, sin(id) AS s, id % 3 AS c FROM engine_classes.t', 'c', algorithm => 'logistic_regression', params => '{"l2": 2}', holdout => 0);
SELECT max(abs((e -> 'coefficients' ->> (2 + strpos('abs', m.term) - 3)::int)::float8 - m.estimate)) < 1e-10 AS same, count(*) AS coefficients
  FROM jsonb_array_elements(fit('{"l2": 2}', 3) -> 'classes') WITH ORDINALITY AS c (e, n)
  JOIN mlops_coefficients('trained/1') AS m ON m.output = (n - 1)::text AND m.term <> '(intercept)';

-- ---- refused ----

SELECT mlops_train_now('no', 'SELECT a, b, k FROM engine_classes.t', 'k', params => '{"path": "holdout"}', options => '{"engine": "sql"}');
SELECT mlops_train_now('no', 'SELECT a, b, k FROM engine_classes.t', 'k', params => '{"class_weights": {"hgh": 2}}', options => '{"engine": "sql"}');
SELECT mlops_train_now('no', 'SELECT a, b, id AS k FROM engine_classes.t', 'k', 'logistic_regression', options => '{"engine": "sql"}');
-- a class that the first pass had no row of
SELECT mlops.next(mlops.logistic_regression_state(id % 2, ARRAY[a, b], 1, mlops.pass('logistic_regression', '{"l1": 1}', 3))) AS second FROM t \gset
SELECT mlops.logistic_regression_state(id % 3, ARRAY[a, b], 1, :'second') FROM t;

SELECT count(mlops_drop_model(m)::text)
  FROM unnest('{bayes,softmax,ridge,lasso,net,numbers,unseen,two,path,line,balanced,given,several,trained}'::text[]) AS m;
DROP SCHEMA engine_classes CASCADE;
