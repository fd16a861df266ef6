-- The planner takes a row of a table apart and passes its columns, so that no
-- composite value is built for each row; what it cannot take apart is scored
-- as a composite value. Both ways give the same score, in every place where an
-- expression can stand. One statement scores with what its snapshot sees; the
-- next one follows a promotion, prepared plans and loops included.
CREATE SCHEMA predict_rewrite;
SET search_path = predict_rewrite;
SET client_min_messages = warning;
\set SHOW_CONTEXT never

CREATE TABLE t (id int PRIMARY KEY, gone int, x int, y int);
INSERT INTO t SELECT i, i, i % 10, i % 10 + 1 FROM generate_series(1, 100) AS i;
ALTER TABLE t DROP gone;

-- version 1 says x + 1, version 2 says x + 2
SELECT mlops_train_now('m', 'SELECT x, y FROM predict_rewrite.t', 'y');
SELECT mlops_train_now('m', 'SELECT x, y + 1 AS y FROM predict_rewrite.t', 'y');
SELECT version FROM mlops_promote('m', 1);

-- how a plan shows whether a row was taken apart
CREATE FUNCTION taken_apart(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    line text;
    apart boolean := false;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || query LOOP
        apart := apart OR line LIKE '%mlops.predict_columns(%';
    END LOOP;
    RETURN apart;
END $$;

CREATE VIEW v AS SELECT id, x + 0 AS x FROM t;
CREATE TABLE parted (x int, y int) PARTITION BY RANGE (x);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (5);
CREATE TABLE parted_2 (y int, x int);
ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES FROM (5) TO (10);
INSERT INTO parted SELECT x, y FROM t;
CREATE TABLE scored (id int, p float8);
CREATE FUNCTION rows_of_t() RETURNS SETOF t LANGUAGE sql STABLE AS 'SELECT * FROM t';

-- taken apart: tables, views, sub-queries, partitions, functions, both sides of joins
SELECT name, taken_apart(query) AS apart
  FROM (VALUES ('table', 'SELECT mlops_predict(''m'', t) FROM t'),
               ('view', 'SELECT mlops_predict(''m'', v) FROM v'),
               ('sub-query', 'SELECT mlops_predict(''m'', s) FROM (SELECT x FROM t) AS s'),
               ('limited', 'SELECT mlops_predict(''m'', s) FROM (SELECT x FROM t LIMIT 5) AS s'),
               ('partitioned', 'SELECT mlops_predict(''m'', parted) FROM parted'),
               ('function', 'SELECT mlops_predict(''m'', f) FROM rows_of_t() AS f'),
               ('outer join', 'SELECT mlops_predict(''m'', t) FROM generate_series(1, 3) AS g LEFT JOIN t ON t.id = g'),
               ('lateral call', 'SELECT p FROM t, LATERAL mlops_predict(''m'', t) AS p'),
               ('update', 'UPDATE t SET y = mlops_predict(''m'', t)'),
               ('common table', 'WITH c AS MATERIALIZED (SELECT x FROM t) SELECT mlops_predict(''m'', c) FROM c'))
       AS q (name, query);

-- left whole: rows of an outer query, and what grouping sets or an outer join may turn to NULL
SELECT name, taken_apart(query) AS apart
  FROM (VALUES ('lateral', 'SELECT p FROM t, LATERAL (SELECT mlops_predict(''m'', t) AS p OFFSET 0) AS s'),
               ('grouping sets', 'SELECT mlops_predict(''m'', t) FROM t GROUP BY GROUPING SETS ((t), ())'),
               ('joined view', 'SELECT mlops_predict(''m'', v) FROM generate_series(1, 3) AS g LEFT JOIN v ON v.id = g'))
       AS q (name, query);

-- the same scores everywhere
SELECT count(*), bool_and(abs(mlops_predict('m', t) - y) < 1e-9) AS tables FROM t;
SELECT count(*), bool_and(abs(mlops_predict('m', v) - x - 1) < 1e-9) AS views FROM v;
SELECT count(*), bool_and(abs(mlops_predict('m', parted) - y) < 1e-9) AS partitions FROM parted;
SELECT count(*), bool_and(abs(mlops_predict('m', f) - y) < 1e-9) AS functions FROM rows_of_t() AS f;
SELECT count(*), bool_and(abs(mlops_predict('m', r) - (r).y) < 1e-9) AS composite FROM (SELECT t AS r FROM t OFFSET 0) AS s;
SELECT bool_and(abs((SELECT mlops_predict('m', t) WHERE t.id > 0) - y) < 1e-9) AS correlated FROM t;
SELECT bool_and(abs(p - y) < 1e-9) AS lateral FROM t, LATERAL (SELECT mlops_predict('m', t) AS p OFFSET 0) AS s;
SELECT bool_and(abs(p - y) < 1e-9) AS lateral_call FROM t, LATERAL mlops_predict('m', t) AS p;
SELECT count(*) AS filtered FROM t WHERE mlops_predict('m', t) > 9.5;
SELECT id FROM t WHERE id <= 9 ORDER BY mlops_predict('m', t) DESC LIMIT 1;
SELECT bool_and(abs(p - y) < 1e-9) AS grouped FROM (SELECT t.y, mlops_predict('m', t) AS p FROM t GROUP BY t.id) AS s;

-- rows that an outer join did not find score NULL both ways
SELECT count(*), count(mlops_predict('m', t)) AS found FROM generate_series(91, 110) AS g LEFT JOIN t ON t.id = g;
SELECT count(*), count(mlops_predict('m', v)) AS found FROM generate_series(91, 110) AS g LEFT JOIN v ON v.id = g;
SELECT mlops_predict('m', t) IS NULL AS total FROM t GROUP BY GROUPING SETS ((t), ()) HAVING count(*) > 10;

-- more columns than a function takes arguments
\set ECHO none
SELECT format('CREATE TABLE wide AS SELECT id, %s, x, y FROM t', string_agg(format('0 AS c%s', i), ', '))
  FROM generate_series(1, 120) AS i \gexec
\set ECHO all
SELECT taken_apart('SELECT mlops_predict(''m'', wide) FROM wide') AS apart,
       bool_and(abs(mlops_predict('m', wide) - y) < 1e-9) AS same FROM wide;

-- writing
INSERT INTO scored SELECT id, mlops_predict('m', t) FROM t;
UPDATE scored SET p = mlops_predict('m', t) FROM t WHERE t.id = scored.id;
SELECT count(*), bool_and(abs(p - y) < 1e-9) AS stored FROM scored JOIN t USING (id);
CREATE FUNCTION score_new() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.y := mlops_predict('m', NEW);
    RETURN NEW;
END $$;
CREATE TRIGGER score_new BEFORE INSERT ON t FOR EACH ROW WHEN (mlops_predict('m', NEW) > 0) EXECUTE FUNCTION score_new();
INSERT INTO t (id, x) VALUES (1001, 5), (1002, 6) RETURNING y, round(mlops_predict('m', t)) AS p;

-- parallel workers see what their leader sees
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
SELECT count(*), bool_and(abs(mlops_predict('m', t) - y) < 1e-9) AS parallel FROM t;
BEGIN;
SELECT version FROM mlops_promote('m', 2);
SELECT count(*), bool_and(abs(mlops_predict('m', t) - y - 1) < 1e-9) AS uncommitted FROM t;
ROLLBACK;
RESET ALL;
SET search_path = predict_rewrite;
SET client_min_messages = warning;

-- a prepared plan, a generic one, follows a promotion and a rollback
SET plan_cache_mode = force_generic_plan;
PREPARE one(int) AS SELECT round(mlops_predict('m', t)) - x AS adds FROM t WHERE id = $1;
EXECUTE one(3);
SELECT version FROM mlops_promote('m', 2);
EXECUTE one(3);
SELECT version FROM mlops_rollback('m');
EXECUTE one(3);

-- a cursor keeps what it began with
BEGIN;
DECLARE c CURSOR FOR SELECT round(mlops_predict('m', t)) - x AS adds FROM t ORDER BY id LIMIT 3;
FETCH 1 FROM c;
SELECT version FROM mlops_promote('m', 2);
FETCH 1 FROM c;
SELECT round(mlops_predict('m', t)) - x AS adds FROM t WHERE id = 1;
ROLLBACK;

-- an expression in a loop follows each promotion, and each one that is undone
DO $$
DECLARE
    r t;
    seen int[] := '{}';
BEGIN
    SELECT * INTO r FROM t WHERE id = 1;
    FOR i IN 1..6 LOOP
        BEGIN
            seen := seen || (round(mlops_predict('m', r)) - r.x)::int;
            PERFORM mlops_promote('m', 1 + i % 2);
            seen := seen || (round(mlops_predict('m', r)) - r.x)::int;
            IF i > 3 THEN
                RAISE EXCEPTION 'undo';
            END IF;
        EXCEPTION WHEN raise_exception THEN
            NULL;
        END;
        seen := seen || (round(mlops_predict('m', r)) - r.x)::int;
    END LOOP;
    RAISE WARNING '%', seen;
END $$;
DO $$
DECLARE
    r t;
BEGIN
    SELECT * INTO r FROM t WHERE id = 1;
    FOR i IN 1..3 LOOP
        RAISE WARNING 'adds %', round(mlops_predict('m', r)) - r.x;
        PERFORM mlops_promote('m', 1 + i % 2);
        COMMIT;
    END LOOP;
END $$;

-- what the planner calls is of no use to others, and does no harm
SELECT round(mlops.predict_columns('m', NULL, '{x}', 1));
SELECT mlops.predict_columns('m', NULL, '{x,y}', 1);
SELECT mlops.predict_columns('m', NULL, ARRAY[relname::text], 1) FROM pg_class;
SELECT mlops.predict_columns('m', NULL, '{x}', VARIADIC ARRAY[1, 2]);
SELECT mlops.predict_columns('m', NULL, NULL, 1);

DROP SCHEMA predict_rewrite CASCADE;
SELECT mlops_drop_model('m', force => true);
