-- A prepared statement scores with what its snapshot sees at each execution. The
-- session remembers what the last one has worked out (columns matched to
-- features, the model, where the serving row was), and none of it may outlive
-- its truth: a promotion, one that is rolled back, a serving row that moved, a
-- table that changed, a privilege that was taken away.
CREATE SCHEMA predict_prepared;
SET search_path = predict_prepared;
SET client_min_messages = warning;
SET plan_cache_mode = force_generic_plan;
\set SHOW_CONTEXT never

-- one version learns y = x, the next y = 10 x
CREATE TABLE t (id int PRIMARY KEY, x float8, y float8);
INSERT INTO t SELECT i, i, i FROM generate_series(1, 100) AS i;
SELECT mlops_train_now('prepared', 'SELECT x, y FROM predict_prepared.t', 'y');
SELECT mlops_train_now('prepared', 'SELECT x, 10 * y AS y FROM predict_prepared.t', 'y');
SELECT version FROM mlops_promote('prepared', 1);
PREPARE score(int) AS SELECT round(mlops_predict('prepared', t)::numeric, 6) AS score FROM t WHERE id = $1;
EXECUTE score(3);
EXECUTE score(4);

-- what serves
SELECT version FROM mlops_promote('prepared', 2);
EXECUTE score(4);
BEGIN;
SELECT version FROM mlops_promote('prepared', 1);
EXECUTE score(4);
ROLLBACK;
EXECUTE score(4);
BEGIN ISOLATION LEVEL REPEATABLE READ;
EXECUTE score(5);
EXECUTE score(5);
COMMIT;

-- where its row is: it moves, and another model's takes its place
VACUUM FULL mlops_catalog.serving;
EXECUTE score(4);
SELECT version FROM mlops_promote('prepared', 1);
VACUUM FULL mlops_catalog.serving;
EXECUTE score(4);
SELECT mlops_drop_model('prepared', force => true);
VACUUM mlops_catalog.serving;
\set VERBOSITY terse
EXECUTE score(4);
\set VERBOSITY default
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_train_now('other', 'SELECT x, 1000 * y AS y FROM predict_prepared.t', 'y');
SELECT version FROM mlops_promote('other', 1);
SELECT mlops_train_now('prepared', 'SELECT x, 100 * y AS y FROM predict_prepared.t', 'y');
SELECT version FROM mlops_promote('prepared', 1);
EXECUTE score(4);

-- the table: other columns before and after, another order, another type, none
ALTER TABLE t ADD COLUMN z float8, DROP COLUMN y;
EXECUTE score(4);
ALTER TABLE t RENAME COLUMN x TO w;
ALTER TABLE t RENAME COLUMN z TO x;
UPDATE t SET x = 7 WHERE id = 4;
EXECUTE score(4);
ALTER TABLE t ALTER COLUMN x TYPE int;
EXECUTE score(4);
ALTER TABLE t ALTER COLUMN x TYPE text;
EXECUTE score(4);
ALTER TABLE t DROP COLUMN x;
EXECUTE score(4);

-- several executions of one plan at once
ALTER TABLE t RENAME COLUMN w TO x;
CREATE FUNCTION score(i int) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    sum numeric;
BEGIN
    SELECT round(mlops_predict('prepared', t)::numeric, 6) + CASE WHEN i > 1 THEN score(i - 1) ELSE 0 END
      INTO sum FROM t WHERE id = i;
    RETURN sum;
END $$;
SELECT score(4), score(4);

-- who may
CREATE ROLE regress_ml_prepared;
GRANT USAGE ON SCHEMA predict_prepared TO regress_ml_prepared;
GRANT SELECT ON t TO regress_ml_prepared;
SELECT mlops_grant('prepared', 'regress_ml_prepared', 'predict');
SET ROLE regress_ml_prepared;
EXECUTE score(4);
RESET ROLE;
SELECT mlops_revoke('prepared', 'regress_ml_prepared', 'predict');
SET ROLE regress_ml_prepared;
EXECUTE score(4);
RESET ROLE;
EXECUTE score(4);

SELECT mlops_drop_model(name, force => true) FROM (VALUES ('prepared'), ('other')) AS m (name);
DROP SCHEMA predict_prepared CASCADE;
DROP ROLE regress_ml_prepared;
