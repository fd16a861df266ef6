-- CALL mlops_train commits between its steps where the caller's transactions
-- are its own to end: at top level, and in procedures and DO blocks called
-- there, inside their loops too; a failed run is then recorded. Within a
-- transaction block, an exception block or a procedure with a SET clause it is
-- part of the caller's transaction, and goes with it.
CREATE SCHEMA train_call_test;
SET search_path = train_call_test;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE TABLE points AS SELECT i % 40 AS x, 2 * (i % 40) + sin(i) AS y FROM generate_series(1, 200) AS i;

-- the procedures and functions of training carry no SET clause, which would make every CALL one transaction
SELECT count(*) > 4 AS several, bool_and(proconfig IS NULL AND NOT prosecdef) AS plain
  FROM pg_proc WHERE proname LIKE 'mlops\_%' AND (prokind = 'p' OR proname LIKE 'mlops\_train%');

-- a loop over a query, one training a row; the error in the third ends the loop, not what was before
DO $$
DECLARE
    number int;
    r record;
BEGIN
    FOR r IN SELECT k FROM generate_series(1, 3) AS k LOOP
        CALL mlops_train('called', format('SELECT x, y FROM points WHERE x > %s', 19 * r.k - 18), 'y', version => number);
        RAISE WARNING 'version %', number;
    END LOOP;
END $$;
SELECT status, version, sqlstate FROM mlops.run WHERE model = 'called' ORDER BY started_at;

-- a procedure that trains, commits and trains
CREATE PROCEDURE twice() LANGUAGE plpgsql AS $$
DECLARE
    number int;
BEGIN
    CALL mlops_train('called', 'points', 'y', version => number);
    COMMIT;
    CALL mlops_train('called', 'points', 'y', seed => number, version => number);
    RAISE WARNING 'version %', number;
    ROLLBACK;
END $$;
CALL twice();
SELECT max(version) AS versions FROM mlops.version WHERE model = 'called';

-- in an exception block and in a procedure with a SET clause: no step of its own, nothing left of a failure
DO $$
DECLARE
    number int;
BEGIN
    CALL mlops_train('called', 'points', 'y', version => number);
    CALL mlops_train('called', 'SELECT x, y FROM points WHERE false', version => number);
EXCEPTION WHEN SQLSTATE 'ML002' THEN
    RAISE WARNING 'caught: %', SQLERRM;
END $$;
ALTER PROCEDURE twice() SET work_mem = '4MB';
CALL twice();
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) AS runs, max(version) AS versions FROM mlops.run WHERE model = 'called';

-- a cursor of the caller is not disturbed
BEGIN;
DECLARE c CURSOR FOR SELECT round(mlops_predict('called/1', p)) FROM points AS p WHERE x > 0;
FETCH 1 FROM c;
CALL mlops_train('called', 'points');
FETCH 1 FROM c;
ROLLBACK;

-- temporary tables, and rows to keep that do not fit into work_mem
CREATE TEMP TABLE short_lived AS SELECT i % 1000 AS x, i * sin(i) AS y FROM generate_series(1, 20000) AS i;
SET work_mem = '64kB';
CALL mlops_train('kept', 'short_lived', 'y', options => '{"keep_rows": true}');
RESET work_mem;
DROP TABLE short_lived;
SELECT count(*) AS kept FROM mlops_rows('kept/1');
CALL mlops_reproduce('kept/1');

SELECT mlops_drop_model('called'), mlops_drop_model('kept');
DROP SCHEMA train_call_test CASCADE;
