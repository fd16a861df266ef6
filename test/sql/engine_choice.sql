-- What the server does with a training by queries: its passes run in parallel
-- workers, and rows that cannot fit are not read first.
CREATE SCHEMA engine_choice;
SET search_path = engine_choice;
\set SHOW_CONTEXT never
SET client_min_messages = error;
\i test/sql/include/engines.sql

-- ---- parallel ----

-- a function that fails in a worker, and nowhere else; the leader leaves all rows to workers
CREATE FUNCTION lead(x float8) RETURNS float8 LANGUAGE plpgsql PARALLEL SAFE AS $$
BEGIN
    IF pg_backend_pid() <> current_setting('engine_choice.leader')::int THEN
        RAISE EXCEPTION 'a worker has read this';
    END IF;
    RETURN x;
END
$$;
SELECT set_config('engine_choice.leader', pg_backend_pid()::text, false) <> '' AS set;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
SET max_parallel_workers_per_gather = 2;
SELECT mlops_train_now('led', 'SELECT engine_choice.lead(a) AS a, b, y FROM engine_choice.t', 'y', options => '{"engine": "sql"}');
SET max_parallel_workers_per_gather = 0;
SELECT mlops_train_now('led', 'SELECT engine_choice.lead(a) AS a, b, y FROM engine_choice.t', 'y', options => '{"engine": "sql"}');

-- what is added up, times and arrays made on the way, can be merged
CREATE FUNCTION plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || query LOOP
        RETURN NEXT line;
    END LOOP;
END
$$;
SET max_parallel_workers_per_gather = 2;
-- 13 adds up above the Gather what lies behind an OFFSET
SELECT bool_or(line ~ 'Parallel Seq Scan on t$') AS read_by_workers, bool_or(line ~ 'Partial Aggregate') OR current_setting('server_version_num')::int < 140000 AS added_up_by_workers
  FROM plan('SELECT sum((q.e)[1]), max((q.e)[2]) FROM (SELECT q.*, mlops.row_parts(''{a}'', q.a) AS e FROM (SELECT * FROM engine_choice.t) AS q OFFSET ''0'') AS q') AS line;
SELECT * FROM plan('SELECT mlops.kmeans_state(ARRAY[a, b], 1, mlops.pass(''kmeans'')) FROM engine_choice.t');

-- no worker and two find the same
CREATE FUNCTION train(model text, target text, algorithm text, exclude text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    workers text;
BEGIN
    FOREACH workers IN ARRAY '{0,2}'::text[] LOOP
        PERFORM set_config('max_parallel_workers_per_gather', workers, false);
        PERFORM mlops_train_now(model, 'engine_choice.t', target, algorithm => algorithm, exclude => exclude, options => '{"engine": "sql"}');
    END LOOP;
END
$$;
SELECT train('line', 'y', 'linear_regression', '{id}'), train('logit', 'c', 'logistic_regression', '{id,y,k}'), train('classes', 'k', 'naive_bayes', '{id}'),
       train('clusters', NULL, 'kmeans', '{id,plan}'), train('components', NULL, 'pca', '{id,plan,c,k,f}');
SELECT bool_and(mlops_predict_label('classes/1', t) = mlops_predict_label('classes/2', t)) AS same_classes,
       avg((mlops_predict('clusters/1', t) = mlops_predict('clusters/2', t))::int) >= 0.9999 AS same_clusters FROM t;
-- means, centres and loadings are in units of their columns, or of standardised ones, and can be 0
SELECT m AS model, count(*) AS terms, max(abs(a.estimate - b.estimate) / greatest(abs(a.estimate), a.std_error * 1e-3, CASE WHEN a.std_error IS NULL THEN 1 END)) < 1e-10 AS same
  FROM unnest('{line,logit,classes,clusters,components}'::text[]) AS m, mlops_coefficients(m || '/1') AS a, mlops_coefficients(m || '/2') AS b
 WHERE a.term = b.term AND coalesce(a.output, '') = coalesce(b.output, '') GROUP BY m ORDER BY m;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET parallel_leader_participation;
RESET max_parallel_workers_per_gather;

-- ---- rows that cannot fit ----

CREATE FUNCTION see(x float8) RETURNS float8 LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a row is read';
END
$$;
CREATE TABLE many AS SELECT i, sin(i) AS a, cos(i) AS b, i % 7 + sin(i) AS y FROM generate_series(1, 150000) AS i;
ANALYZE many;
SET mlops.max_training_memory = '1MB';
SET client_min_messages = notice;
-- by the planner's word there are 5 times as many rows as there is room for: queries are the first to read one
SELECT mlops_train_now('choice', 'SELECT engine_choice.see(a) AS a, b, y FROM engine_choice.many', 'y');
-- with a condition the planner may be wrong, and rows are read until they do not fit
SELECT mlops_train_now('choice', 'SELECT engine_choice.see(a) AS a, b, y FROM engine_choice.many WHERE i > 0', 'y');
-- what only memory can do is tried there, whatever the planner says
SELECT mlops_train_now('choice', 'SELECT engine_choice.see(a) AS a, b, y FROM engine_choice.many', 'y', options => '{"keep_rows": true}');
SET client_min_messages = error;
SELECT mlops_train_now('choice', s, 'y') FROM unnest('{engine_choice.many,SELECT * FROM engine_choice.many WHERE i > 0}'::text[]) AS s;
SELECT version, spec #>> '{options,engine}' AS engine FROM mlops.version WHERE model = 'choice' ORDER BY version;
RESET mlops.max_training_memory;

SELECT count(mlops_drop_model(m)::text) FROM unnest('{led,line,logit,classes,clusters,components,choice}'::text[]) AS m;
DROP SCHEMA engine_choice CASCADE;
