-- An expression with mlops_predict can stand wherever an expression can, and
-- gives the same score everywhere: in common tables, materialised views,
-- inherited and partitioned tables, joins of every kind, windows, aggregates,
-- CASE, RETURNING, ON CONFLICT, MERGE, triggers, cursors and loops.
-- A row that a join did not find scores NULL, taken apart or left whole.
CREATE SCHEMA predict_places;
SET search_path = predict_places;
SET client_min_messages = warning;
\set SHOW_CONTEXT never

-- the model says x + 1
CREATE TABLE t (id int PRIMARY KEY, x int, y float8);
INSERT INTO t SELECT i, i % 10, i % 10 + 1 FROM generate_series(1, 100) AS i;
SELECT mlops_train_now('places', 'SELECT x, y FROM predict_places.t', 'y');
SELECT mlops_train_now('places', 'SELECT x, y + 1 AS y FROM predict_places.t', 'y');
SELECT version FROM mlops_promote('places', 1);

-- where rows come from: materialised views, inheritance, VALUES, set operations, functions, CTEs
CREATE MATERIALIZED VIEW mv AS SELECT *, mlops_predict('places', t) AS p FROM t;
CREATE TABLE child (extra text) INHERITS (t);
INSERT INTO child SELECT 1000 + i, i, i + 1, 'x' FROM generate_series(1, 5) AS i;
SELECT count(*) AS rows, bool_and(abs(p - y) < 1e-9 AND abs(mlops_predict('places', mv) - p) < 1e-9) AS same FROM mv;
SELECT count(*) AS rows, bool_and(abs(mlops_predict('places', t) - y) < 1e-9) AS inherited FROM t;
SELECT count(*) AS rows, bool_and(abs(mlops_predict('places', c) - y) < 1e-9) AS child FROM child AS c;
SELECT round(mlops_predict('places', w)) FROM (VALUES (1), (NULL), (2)) AS w (x);
SELECT round(mlops_predict('places', w)) FROM (SELECT 1 AS x UNION ALL SELECT 5 EXCEPT SELECT 1) AS w;
WITH RECURSIVE steps (x) AS (SELECT 1.0::float8 UNION ALL SELECT mlops_predict('places', s) FROM steps AS s WHERE x < 4)
SELECT array_agg(round(x)) AS steps FROM steps;
SELECT bool_and(abs(mlops_predict('places', ROW(t.*)::t) - y) < 1e-9) AS cast_row FROM t;
SELECT round(mlops_predict('places', r)) FROM jsonb_to_recordset('[{"x": 3}, {"x": null}]') AS r (x int);

-- outer joins: what was not found scores NULL, on either side, both ways
CREATE VIEW whole AS SELECT id, x + 0 AS x FROM t;
SELECT count(*) AS rows, count(mlops_predict('places', a)) AS apart_left, count(mlops_predict('places', b)) AS apart_right
  FROM (SELECT * FROM ONLY t WHERE id <= 60) AS a FULL JOIN (SELECT * FROM ONLY t WHERE id > 40) AS b USING (id);
SELECT count(*) AS rows, count(mlops_predict('places', w)) AS left_whole
  FROM generate_series(91, 110) AS g LEFT JOIN (SELECT id, x + 0 AS x FROM ONLY t) AS w ON w.id = g;
SELECT count(*) AS rows, count(mlops_predict('places', w)) AS right_join
  FROM whole AS w RIGHT JOIN generate_series(91, 110) AS g ON w.id = g AND w.id < 1000;
SELECT count(mlops_predict('places', to_jsonb(t))) AS jsonb, count(mlops_predict('places', row_to_json(t))) AS json
  FROM generate_series(91, 110) AS g LEFT JOIN ONLY t ON t.id = g;

-- what is made of scores
SELECT x, count(*) FILTER (WHERE mlops_predict('places', t) > 5) AS high, round(avg(mlops_predict('places', t))) AS mean
  FROM ONLY t GROUP BY x HAVING max(mlops_predict('places', t)) > 8 ORDER BY x;
SELECT id, rank() OVER (ORDER BY mlops_predict('places', t) DESC, id) AS place FROM ONLY t ORDER BY place LIMIT 2;
SELECT count(*) AS rows, count(DISTINCT CASE WHEN x > 5 THEN mlops_predict('places', t) ELSE -1 END) AS cases,
       bool_and(coalesce(mlops_predict('places', t), 0) = greatest(mlops_predict('places', t), -5)) AS same FROM ONLY t;
SELECT bool_and(EXISTS (SELECT FROM ONLY t AS u WHERE u.id = t.id AND mlops_predict('places', u) = mlops_predict('places', t))) AS nested FROM ONLY t;
SELECT DISTINCT ON (mlops_predict('places', t)) x FROM ONLY t ORDER BY mlops_predict('places', t) DESC, id LIMIT 1;
SELECT array_agg(round(p) ORDER BY s.x) AS best_two
  FROM (VALUES (1), (2)) AS s (x), LATERAL (SELECT mlops_predict('places', t) AS p FROM ONLY t WHERE t.x = s.x ORDER BY id LIMIT 1) AS l;

-- writing: RETURNING old and new rows, ON CONFLICT with the excluded row, DELETE, data-modifying CTEs
CREATE TABLE kept (id int PRIMARY KEY, x int, p float8);
INSERT INTO kept SELECT id, x FROM ONLY t WHERE id <= 3 RETURNING id, round(mlops_predict('places', kept)) AS p;
INSERT INTO kept AS k VALUES (1, 7) ON CONFLICT (id) DO UPDATE SET p = mlops_predict('places', excluded)
 WHERE mlops_predict('places', k) < mlops_predict('places', excluded) RETURNING id, x, round(p) AS p;
UPDATE kept SET x = x + 1 WHERE mlops_predict('places', kept) > 3 RETURNING id, round(mlops_predict('places', kept)) AS p;
WITH gone AS (DELETE FROM kept WHERE id = 3 RETURNING *) SELECT round(mlops_predict('places', gone)) AS p FROM gone;
COPY (SELECT id, round(mlops_predict('places', kept)) FROM kept ORDER BY id) TO STDOUT;

-- MERGE came with PostgreSQL 15
DO $$
BEGIN
    IF current_setting('server_version_num')::int >= 150000 THEN
        EXECUTE 'MERGE INTO kept AS k USING (VALUES (2, 4), (9, 8)) AS s (id, x) ON k.id = s.id
                 WHEN MATCHED AND mlops_predict(''places'', k) > 0 THEN UPDATE SET p = mlops_predict(''places'', s)
                 WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.x, mlops_predict(''places'', s))';
    ELSE
        UPDATE kept SET p = 5 WHERE id = 2;
        INSERT INTO kept VALUES (9, 8, 9);
    END IF;
END $$;
SELECT id, round(p) AS p FROM kept WHERE id IN (2, 9) ORDER BY id;

-- rows of partitions that are laid out differently, updated from one to another
CREATE TABLE parts (id int, x int, p float8) PARTITION BY RANGE (x);
CREATE TABLE part_low PARTITION OF parts FOR VALUES FROM (0) TO (5);
CREATE TABLE part_high (p float8, gone int, x int, id int);
ALTER TABLE part_high DROP gone;
ALTER TABLE parts ATTACH PARTITION part_high FOR VALUES FROM (5) TO (100);
INSERT INTO parts SELECT id, x FROM ONLY t;
UPDATE parts SET x = x + 3, p = mlops_predict('places', parts);
SELECT count(*) AS rows, bool_and(abs(p - (x - 3) - 1) < 1e-9) AS of_the_old_row,
       bool_and(abs(mlops_predict('places', parts) - x - 1) < 1e-9) AS of_the_new_row FROM parts;

-- functions that the planner takes in, rules, triggers for rows and statements
CREATE FUNCTION scored(r t) RETURNS float8 LANGUAGE sql STABLE AS 'SELECT mlops_predict(''places'', r)';
CREATE VIEW scored_view AS SELECT id, mlops_predict('places', t) AS p FROM t;
SELECT bool_and(abs(scored(t) - y) < 1e-9 AND abs((SELECT p FROM scored_view AS v WHERE v.id = t.id) - y) < 1e-9) AS taken_in FROM ONLY t;
CREATE FUNCTION count_high() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE WARNING '% rows score above 5', (SELECT count(*) FROM added WHERE mlops_predict('places', added) > 5);
    RETURN NULL;
END $$;
CREATE TRIGGER count_high AFTER INSERT ON kept REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_high();
INSERT INTO kept (id, x) SELECT id + 100, x FROM ONLY t WHERE id <= 9;

-- what could go stale is refused by the server: a stable function in an index or a generated column
CREATE INDEX ON t (mlops_predict('places', json_build_object('x', x)));
\echo :LAST_ERROR_SQLSTATE

-- two statements of a transaction around a promotion; a cursor that outlives its transaction
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT round(mlops_predict('places', t)) - x AS adds FROM ONLY t ORDER BY id LIMIT 4;
FETCH 1 FROM held;
SELECT version FROM mlops_promote('places', 2);
FETCH 1 FROM held;
SELECT round(mlops_predict('places', t)) - x AS adds FROM t WHERE id = 1;
COMMIT;
FETCH 1 FROM held;
CLOSE held;
-- a statement that promotes scores with what served when it began
SELECT round(mlops_predict('places', t)) - x AS adds, (mlops_promote('places', 1)).version,
       round(mlops_predict('places', t)) - x AS still_adds FROM t WHERE id = 1;
SELECT round(mlops_predict('places', t)) - x AS adds FROM t WHERE id = 1;
-- a transaction that keeps its snapshot sees what it promoted itself, and what it took back
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT version FROM mlops_promote('places', 2);
SELECT round(mlops_predict('places', t)) - x AS adds FROM t WHERE id = 1;
SAVEPOINT before;
SELECT version FROM mlops_rollback('places');
SELECT round(mlops_predict('places', t)) - x AS adds FROM t WHERE id = 1;
ROLLBACK TO before;
SELECT round(mlops_predict('places', t)) - x AS adds FROM t WHERE id = 1;
ROLLBACK;
SELECT round(mlops_predict('places', t)) - x AS adds FROM t WHERE id = 1;
-- a loop over a query keeps its bundle; its body follows each promotion
DO $$
DECLARE
    r record;
    seen text := '';
BEGIN
    FOR r IN SELECT t AS row, round(mlops_predict('places', t)) - x AS adds FROM ONLY t ORDER BY id LIMIT 4 LOOP
        PERFORM mlops_promote('places', 2 - (r.row).id % 2);
        seen := seen || format(' %s/%s', r.adds, (SELECT round(mlops_predict('places', u)) - u.x FROM ONLY t AS u WHERE u.id = (r.row).id));
    END LOOP;
    RAISE WARNING 'query/body:%', seen;
END $$;

DROP SCHEMA predict_places CASCADE;
SELECT mlops_drop_model('places', force => true);
