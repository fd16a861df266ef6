-- What the rows of a pass add up to is an ordinary value, of type mlops.state.
-- X_state(...) makes one, mlops.merge puts two or many together, mlops.final says
-- what the fit says, and X(...) does all at once. So a pass can run in pieces -
-- in parallel, on other servers, day by day - and be merged anywhere.
CREATE SCHEMA state;
SET search_path = state;
SET client_min_messages = warning;
\set SHOW_CONTEXT never

CREATE TABLE t AS
SELECT i, sin(i) * 3 AS a, (i * 7 % 13)::float8 AS b, 1 + (i % 3)::float8 AS w,
       2 + 3 * sin(i) * 3 - (i * 7 % 13) + cos(i * i) AS y,
       (sin(i) * 3 + (i * 7 % 13) - 6 + 5 * cos(i * 1.7) > 0)::int AS c
  FROM generate_series(1, 3000) AS i;

-- largest relative difference between the numbers of two results
CREATE FUNCTION difference(x jsonb, y jsonb) RETURNS float8 LANGUAGE sql AS $$
    SELECT coalesce(max(abs(p - q) / greatest(abs(p), abs(q), 1e-300)), 0)
      FROM (SELECT (v #>> '{}')::float8 AS p, (y #>> k)::float8 AS q
              FROM (SELECT ARRAY[key] AS k, value AS v FROM jsonb_each(x) WHERE jsonb_typeof(value) = 'number' AND key <> 'condition_number'
                    UNION ALL
                    SELECT ARRAY[key, (n - 1)::text], e FROM jsonb_each(x), jsonb_array_elements(value) WITH ORDINALITY AS u (e, n)
                     WHERE jsonb_typeof(value) = 'array') AS every) AS pairs
     WHERE p <> q
$$;

-- ---- linear regression: one pass ----

-- the coefficients are those of mlops_train
SELECT mlops_train_now('line', 'SELECT a, b, w, y FROM state.t', 'y', weight => 'w', holdout => 0);
CREATE TABLE whole AS SELECT mlops.linear_regression(y, ARRAY[a, b], w, NULL) AS says FROM t;
SELECT bool_and(abs(estimate - fitted) < 1e-11 * abs(estimate)) AS estimates
  FROM mlops_coefficients('line/1'), LATERAL (SELECT CASE term WHEN '(intercept)' THEN (says ->> 'intercept')::float8
           WHEN 'a' THEN (says -> 'coefficients' ->> 0)::float8 ELSE (says -> 'coefficients' ->> 1)::float8 END AS fitted FROM whole) AS f;
SELECT (says ->> 'rows')::int AS rows, round((says ->> 'r_squared')::numeric, 4) AS r_squared, says ->> 'done' AS done FROM whole;

-- In slices merged in another order, one of them empty, through text: the same.
CREATE TABLE slice AS
SELECT i % 8 AS n, mlops.linear_regression_state(y, ARRAY[a, b], w, NULL) AS s FROM t GROUP BY i % 8
UNION ALL SELECT 8, mlops.linear_regression_state(y, ARRAY[a, b], w, NULL) FROM t WHERE false
UNION ALL SELECT 9, mlops.pass('linear_regression');
SELECT difference(says, mlops.final(mlops.merge(s::text::mlops.state ORDER BY md5(n::text)))) < 1e-12 AS by_aggregate
  FROM slice, whole GROUP BY says;
SELECT difference(says, mlops.final(mlops.merge((SELECT mlops.merge(s) FROM slice WHERE n < 3),
                                               (SELECT mlops.merge(s) FROM slice WHERE n >= 3)))) < 1e-12 AS by_function FROM whole;
SELECT mlops.merge(NULL, s)::text = s::text AS left_null, mlops.merge(s, NULL)::text = s::text AS right_null,
       mlops.merge(s, (SELECT s FROM slice WHERE n = 9))::text = s::text AS without_rows FROM slice WHERE n = 1;

-- binary form
SELECT current_setting('data_directory') || '/state_test.copy' AS file \gset
COPY slice TO :'file' (FORMAT binary);
CREATE TABLE copied (LIKE slice);
COPY copied FROM :'file' (FORMAT binary);
SELECT bool_and(c.s::text IS NOT DISTINCT FROM s.s::text) AS "binary" FROM copied AS c JOIN slice AS s USING (n);

-- in parallel workers
BEGIN;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT mlops.linear_regression(y, ARRAY[a, b], w, NULL) FROM t;
SELECT difference(says, (SELECT mlops.linear_regression(y, ARRAY[a, b], w, NULL) FROM t)) < 1e-12 AS same FROM whole;
COMMIT;

-- as a window: a state goes on after it has been looked at
SELECT count(*), bool_and((says ->> 'rows')::int = i) AS rows
  FROM (SELECT i, mlops.linear_regression(y, ARRAY[a, b]) OVER (ORDER BY i) AS says FROM t WHERE i <= 40) AS q;

-- Rows with a NULL or NaN, or of weight 0, do not count; no rows are NULL.
SELECT mlops.linear_regression(y, x) ->> 'rows' AS rows
  FROM (VALUES (1.0, ARRAY[1.0, 2]), (2, ARRAY[3.0, 1]), (4, ARRAY[2.0, 2]), (NULL, ARRAY[1.0, 1]), ('NaN', ARRAY[1.0, 1]),
               (1, NULL), (1, ARRAY[NULL, 1.0]), (1, ARRAY['NaN', 1.0])) AS v (y, x);
SELECT mlops.linear_regression(y, x, w, NULL) ->> 'rows' AS rows
  FROM (VALUES (1.0, ARRAY[1.0], 1), (2, ARRAY[3.0], 2), (3, ARRAY[2.0], 0), (3, ARRAY[7.0], NULL)) AS v (y, x, w);
SELECT mlops.linear_regression(y, ARRAY[a]) IS NULL AS "null" FROM t WHERE false;
SELECT round((mlops.linear_regression(y, '{}') ->> 'intercept')::numeric, 10) AS mean FROM (VALUES (1.0::float8), (2), (6)) AS v (y);

-- parameters come with the beginning of a pass
SELECT mlops_train_now('ridge', 'SELECT a, b, y FROM state.t', 'y', params => '{"l2": 300}', holdout => 0);
SELECT bool_and(abs(estimate - fitted) < 1e-11 * abs(estimate)) AS estimates
  FROM (SELECT mlops.linear_regression(y, ARRAY[a, b], 1, mlops.pass('linear_regression', '{"l2": 300}')) AS says FROM t) AS q,
       mlops_coefficients('ridge/1'), LATERAL (SELECT CASE term WHEN '(intercept)' THEN (says ->> 'intercept')::float8
           WHEN 'a' THEN (says -> 'coefficients' ->> 0)::float8 ELSE (says -> 'coefficients' ->> 1)::float8 END AS fitted) AS f;

-- ---- logistic regression: passes until it is done ----

-- The first pass surveys the rows; mlops.next(state) is the beginning of the next,
-- and NULL when the fit is done.
CREATE FUNCTION fit(query text, INOUT pass mlops.state, OUT says jsonb, OUT passes int) LANGUAGE plpgsql AS $$
DECLARE
    s mlops.state;
BEGIN
    passes := 0;
    LOOP
        EXECUTE query INTO s USING pass;
        passes := passes + 1;
        says := mlops.final(s);
        pass := mlops.next(s);
        EXIT WHEN pass IS NULL;
    END LOOP;
END
$$;
CREATE TABLE logit AS
SELECT says, passes FROM fit('SELECT mlops.logistic_regression_state(c, ARRAY[a, b], w, $1) FROM t', mlops.pass('logistic_regression'));
SELECT mlops_train_now('logit', 'SELECT a, b, w, c::text FROM state.t', 'c', weight => 'w', holdout => 0);
SELECT bool_and(abs(estimate - fitted) < 1e-10 * abs(estimate)) AS estimates, bool_and(abs(std_error - error) < 1e-9 * std_error) AS errors
  FROM mlops_coefficients('logit/1'), LATERAL (
    SELECT CASE term WHEN '(intercept)' THEN (says ->> 'intercept')::float8 WHEN 'a' THEN (says -> 'coefficients' ->> 0)::float8
                ELSE (says -> 'coefficients' ->> 1)::float8 END AS fitted,
           CASE term WHEN '(intercept)' THEN (says ->> 'intercept_std_error')::float8 WHEN 'a' THEN (says -> 'std_errors' ->> 0)::float8
                ELSE (says -> 'std_errors' ->> 1)::float8 END AS error FROM logit) AS f;
SELECT passes BETWEEN 4 AND 9 AS passes, says ->> 'done' AS done FROM logit;

-- the same in slices
SELECT difference(l.says, f.says) < 1e-10 AS same
  FROM logit AS l, fit('SELECT mlops.merge(s ORDER BY md5(n::text)) FROM (SELECT i % 5 AS n, mlops.logistic_regression_state(c, ARRAY[a, b], w, $1) AS s
                        FROM t GROUP BY i % 5 UNION ALL SELECT 9, $1) AS q', mlops.pass('logistic_regression')) AS f;

-- ---- generalized linear models: a survey, then passes ----

-- The family is a parameter; binomial is for two classes. What mlops_train finds
-- in memory the passes find too, deviances and likelihood included.
CREATE TABLE counts AS
SELECT i, sin(i) * 3 AS a, (i * 7 % 13)::float8 / 5 AS b, 1 + (i % 3)::float8 AS w,
       round(exp(0.3 * sin(i) * 3 + (i * 7 % 13) / 10.0 + cos(i * i)))::float8 AS y, exp(sin(i) + cos(i * i)) AS g,
       (sin(i) * 3 + (i * 7 % 13) - 6 + 5 * cos(i * 1.7) > 0) AS c
  FROM generate_series(1, 2500) AS i;
CREATE FUNCTION compare_glm(target text, params jsonb, classes int DEFAULT NULL, OUT same_estimates bool, OUT same_errors bool, OUT same_facts bool)
LANGUAGE plpgsql AS $$
DECLARE
    f jsonb;
    m mlops.version;
BEGIN
    PERFORM mlops_train_now('glm_' || target, format('SELECT a, b, w, %I FROM state.counts', target), target, algorithm => 'glm', weight => 'w', holdout => 0,
                            params => params);
    SELECT * INTO m FROM mlops.version WHERE model = 'glm_' || compare_glm.target ORDER BY version DESC LIMIT 1;
    SELECT says INTO f FROM fit(format('SELECT mlops.glm_state(%I%s, ARRAY[a, b], w, $1) FROM state.counts', target, CASE WHEN classes = 2 THEN '::int' END),
                                mlops.pass('glm', params, classes));
    SELECT bool_and(abs(k.estimate - x.e) <= 1e-10 * greatest(abs(k.estimate), k.std_error)),
           bool_and(abs(k.std_error - x.s) <= 1e-9 * k.std_error) INTO same_estimates, same_errors
      FROM mlops_coefficients(m.model || '/' || m.version) AS k,
           LATERAL (SELECT CASE term WHEN '(intercept)' THEN f ->> 'intercept' WHEN 'a' THEN f -> 'coefficients' ->> 0 ELSE f -> 'coefficients' ->> 1 END::float8 AS e,
                           CASE term WHEN '(intercept)' THEN f ->> 'intercept_std_error' WHEN 'a' THEN f -> 'std_errors' ->> 0 ELSE f -> 'std_errors' ->> 1 END::float8 AS s) AS x;
    SELECT bool_and(abs(value::text::float8 - (f ->> key)::float8) <= 1e-10 * abs(value::text::float8)) INTO same_facts
      FROM jsonb_each(m.facts) WHERE key IN ('deviance', 'null_deviance', 'log_likelihood', 'aic', 'dispersion', 'pearson_chi_squared');
END
$$;
SELECT * FROM compare_glm('y', '{"family": "poisson"}');
SELECT * FROM compare_glm('y', '{"family": "poisson", "link": "sqrt"}');
SELECT * FROM compare_glm('y', '{"family": "gaussian", "link": "log"}');
SELECT * FROM compare_glm('g', '{"family": "gamma", "link": "log"}');
SELECT * FROM compare_glm('g', '{"family": "gamma"}');
SELECT * FROM compare_glm('c', '{"link": "probit"}', 2);
SELECT * FROM compare_glm('c', '{"intercept": false}', 2);

-- the same in slices
SELECT difference(whole.says, sliced.says) < 1e-10 AS same
  FROM fit('SELECT mlops.glm_state(y, ARRAY[a, b], w, $1) FROM counts', mlops.pass('glm', '{"family": "poisson"}')) AS whole,
       fit('SELECT mlops.merge(s ORDER BY md5(n::text)) FROM (SELECT i % 5 AS n, mlops.glm_state(y, ARRAY[a, b], w, $1) AS s
            FROM counts GROUP BY i % 5 UNION ALL SELECT 9, $1) AS q', mlops.pass('glm', '{"family": "poisson"}')) AS sliced;

-- ---- naive Bayes: one pass, with values that are missing ----

SELECT mlops_train_now('bayes', 'SELECT a, CASE WHEN i % 7 > 0 THEN b END AS b, w, c FROM state.counts', 'c', algorithm => 'naive_bayes', weight => 'w', holdout => 0);
CREATE TABLE bayes AS
SELECT mlops.naive_bayes(c::int, ARRAY[a, CASE WHEN i % 7 > 0 THEN b END], w, NULL) AS says FROM counts;
SELECT (says ->> 'rows')::int AS rows, says ->> 'done' AS done, jsonb_array_length(says -> 'means') AS numbers FROM bayes;
-- means and variances are those of the rows of each class
SELECT abs((says #>> '{means,1,0}')::float8 / m - 1) < 1e-12 AS mean, abs((says #>> '{variances,1,0}')::float8 / v - 1) < 1e-7 AS variance
  FROM bayes, (SELECT sum(w * b) / sum(w) AS m, sum(w * b * b) / sum(w) - (sum(w * b) / sum(w)) ^ 2 AS v FROM counts WHERE NOT c AND i % 7 > 0) AS q;
-- in slices, merged in another order
SELECT bool_and(abs(m::text::float8 - (sliced #> '{variances}' -> (i - 1)::int ->> c)::float8) < 1e-11 * m::text::float8) AS same
  FROM bayes, jsonb_array_elements(says -> 'variances') WITH ORDINALITY AS v (row, i), generate_series(0, 1) AS c, LATERAL (SELECT row -> c AS m) AS e, (SELECT mlops.final(mlops.merge(s ORDER BY md5(n::text))) AS sliced
  FROM (SELECT i % 8 AS n, mlops.naive_bayes_state(c::int, ARRAY[a, CASE WHEN i % 7 > 0 THEN b ELSE 'NaN' END], w, NULL) AS s
          FROM counts GROUP BY i % 8) AS q) AS r;
-- three classes
SELECT jsonb_array_length(mlops.naive_bayes(i % 3, ARRAY[a + i % 3, b], 1, mlops.pass('naive_bayes', classes => 3)) -> 'log_priors') AS classes FROM counts;

-- ---- what distributed plans ask of an aggregate ----

-- A state that is a value with a text and a binary form, a combine function,
-- concrete types of arguments: no aggregate of ours is without, but those that sort
-- rows, each of which has a sibling X_state, and mlops_adwin, which depends on their order.
SELECT p.oid::regprocedure
  FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid JOIN pg_type t ON t.oid = a.aggtranstype
  JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
  JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'mlops'
 WHERE p.proname <> 'mlops_adwin' AND (a.aggcombinefn = 0 OR t.typtype = 'p' OR t.typsend = 0 OR p.pronargs = 0
        OR EXISTS (SELECT 1 FROM unnest(p.proargtypes) AS x JOIN pg_type y ON y.oid = x WHERE y.typtype = 'p'))
   AND NOT EXISTS (SELECT 1 FROM pg_proc s WHERE s.proname = p.proname || '_state' AND s.proargtypes = p.proargtypes
                      AND a.aggtranstype = 'internal'::regtype AND p.proname NOT LIKE '%\_state');

-- ---- refused ----

SELECT mlops.linear_regression(y, CASE WHEN i = 3 THEN ARRAY[a] ELSE ARRAY[a, b] END) FROM t;
SELECT mlops.linear_regression(y, ARRAY[[a, b]]) FROM t;
SELECT mlops.linear_regression(y, ARRAY[a, 'infinity']) FROM t;
SELECT mlops.linear_regression(y, ARRAY[a], -w, NULL) FROM t;
SELECT mlops.logistic_regression(y, ARRAY[a]) FROM t;
SELECT mlops.logistic_regression(c, ARRAY[a], 1, mlops.pass('linear_regression')) FROM t;
SELECT mlops.logistic_regression(c, ARRAY[a], 1, (SELECT mlops.logistic_regression_state(c, ARRAY[a]) FROM t)) FROM t;
\set VERBOSITY terse
SELECT mlops.merge(mlops.pass('linear_regression'), mlops.pass('linear_regression', '{"l2": 1}'));
\set VERBOSITY default
SELECT mlops.merge(s) FROM (SELECT mlops.linear_regression_state(y, ARRAY[a]) AS s FROM t
                            UNION ALL SELECT mlops.linear_regression_state(y, ARRAY[a, b]) FROM t) AS q;
SELECT mlops.final(mlops.pass('linear_regression'));
SELECT mlops.pass('linear_regression', '{"path": "holdout"}') IS NULL AS "null";
SELECT mlops.linear_regression(y, ARRAY[a], 1, mlops.pass('linear_regression', '{"path": "holdout"}')) FROM t;
\set VERBOSITY terse
SELECT mlops.pass('linear_regresion');
SELECT mlops.pass('linear_regression', '{"l3": 1}');
\set VERBOSITY default
SELECT mlops.pass('linear_regression', classes => 3);
SELECT mlops.logistic_regression(1, ARRAY[a]) ->> 'rows' AS rows, mlops.next(mlops.logistic_regression_state(1, ARRAY[a])) FROM t;
-- other rows in a later pass
SELECT mlops.final(s) FROM (SELECT mlops.logistic_regression_state(c, ARRAY[a], 1, pass) AS s
  FROM (SELECT mlops.next(mlops.logistic_regression_state(c, ARRAY[a])) AS pass FROM t) AS p, t WHERE i > 9) AS q;

-- what only rows say is refused when their pass ends, and what the parameters say at once
SELECT * FROM fit('SELECT mlops.glm_state(y - 1, ARRAY[a, b], 1, $1) FROM counts', mlops.pass('glm', '{"family": "poisson"}'));
SELECT * FROM fit('SELECT mlops.glm_state(0, ARRAY[a, b], 1, $1) FROM counts', mlops.pass('glm', '{"family": "poisson"}'));
SELECT * FROM fit('SELECT mlops.glm_state(1, ARRAY[a, b], 1, $1) FROM counts', mlops.pass('glm', classes => 2));
SELECT * FROM fit('SELECT mlops.glm_state(y, ARRAY[a, b], 1, $1) FROM counts', mlops.pass('glm', '{"offset": "a"}'));
SELECT mlops.final(mlops.naive_bayes_state(1, ARRAY[a])) FROM t;

-- Whatever bytes: a state that adds, merges and ends, or an error.
SELECT ''::mlops.state;
SELECT '\x00'::mlops.state;
SELECT overlay(mlops.state_send(mlops.pass('linear_regression')) PLACING '\x02' FROM 9)::text::mlops.state;
SELECT overlay(mlops.state_send(mlops.pass('linear_regression')) PLACING '\x01' FROM 97)::text::mlops.state;
\set ECHO none
\i test/fuzz/mutate.sql
\set ECHO all
CREATE OR REPLACE FUNCTION fuzz_read(bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    s mlops.state;
BEGIN
    s := bytes::text::mlops.state;
    PERFORM mlops.final(mlops.merge(s, s));
    PERFORM mlops.next(s);
    RETURN 'a model';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;
SELECT DISTINCT outcome COLLATE "C" AS outcome
  FROM fuzz_artifacts(ARRAY(SELECT mlops.state_send(s) FROM slice WHERE n IN (1, 9) UNION ALL
                            SELECT mlops.state_send(mlops.logistic_regression_state(c, ARRAY[a, b])) FROM t WHERE i < 100 UNION ALL
                            SELECT mlops.state_send(mlops.logistic_regression_state(c, ARRAY[a, b], 1, pass)) FROM t,
                                   (SELECT mlops.next(mlops.logistic_regression_state(c, ARRAY[a, b])) AS pass FROM t) AS p UNION ALL
                            SELECT mlops.state_send(mlops.glm_state(c, ARRAY[a, b], 1, pass)) FROM t,
                                   (SELECT mlops.next(mlops.glm_state(c, ARRAY[a, b], 1, mlops.pass('glm', classes => 2))) AS pass FROM t) AS p UNION ALL
                            SELECT mlops.state_send(mlops.naive_bayes_state(c, ARRAY[a, b])) FROM t WHERE i < 100), 1500, 5)
 WHERE outcome NOT IN ('a model', 'ML004', 'ML003', 'ML002', '22023', '22P02', '22003', '54000', '42704');

SET client_min_messages = error;
DROP SCHEMA state CASCADE;
SELECT count(mlops_drop_model(m)) FROM unnest('{line,ridge,logit,glm_y,glm_g,glm_c,bayes}'::text[]) AS m;
