-- A source is the name of a table or view, or one query that only reads. It
-- runs as the caller, under one snapshot, with transaction_read_only on. What
-- was read is known by its fingerprint, which depends on names, types and
-- values alone: not on the order of rows, not on where they are stored.

CREATE SCHEMA source_test;
SET search_path = source_test;
SET client_min_messages = error;

CREATE TABLE points AS
SELECT i AS id, i * 37 % 101 AS x, 2 * (i * 37 % 101) + i % 3 AS y,
       (ARRAY['red', 'green', 'blue'])[i % 3 + 1] AS colour
  FROM generate_series(1, 200) AS i;
CREATE VIEW "odd ""name" AS SELECT x, y FROM points;
CREATE TABLE "user" AS SELECT x, y FROM points;

-- names are read as in SQL: quoted or not, with a schema or without
SELECT mlops_train_now('points', 'source_test.points', 'y', exclude => '{id}') AS a_table,
       mlops_train_now('points', '  Points ', 'y', exclude => '{id}') AS in_other_letters,
       mlops_train_now('points', '"odd ""name"', 'y') AS a_quoted_view,
       mlops_train_now('points', 'user', 'y') AS a_keyword_is_a_name_here,
       mlops_train_now('points', 'TABLE points', 'y', exclude => '{id}') AS a_table_command,
       mlops_train_now('points', 'WITH p AS (SELECT * FROM points) SELECT x, y FROM p; ', 'y') AS a_query;

-- the same rows in another order are the same data; another name, value or NULL makes other data
CREATE FUNCTION fingerprint(query text) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
    trained int := mlops_train_now('points', query, 'y');
BEGIN
    RETURN (SELECT data_fingerprint FROM mlops.version WHERE model = 'points' AND version = trained);
END $$;
SELECT fingerprint('SELECT x, y FROM points ORDER BY id') = fingerprint('SELECT x, y FROM points ORDER BY y DESC') AS by_order,
       fingerprint('SELECT x, y FROM points') = fingerprint('SELECT y, x FROM points') AS by_order_of_columns,
       fingerprint('SELECT x, y FROM points') = fingerprint('SELECT x AS z, y FROM points') AS by_name,
       fingerprint('SELECT x, y FROM points') = fingerprint('SELECT x, y FROM points UNION ALL VALUES (1, 2)') AS by_rows,
       fingerprint('SELECT x, y FROM points') = fingerprint('SELECT CASE WHEN id <> 7 THEN x END AS x, y FROM points') AS by_null;

-- more than one statement, or one that does not read, is refused
SELECT mlops_train_now('points', '-- nothing', 'y');
SELECT mlops_train_now('points', 'SELECT 1; SELECT 2', 'y');
SELECT mlops_train_now('points', 'DROP TABLE points', 'y');
SELECT mlops_train_now('points', 'SELECT x, y INTO copy FROM points', 'y');
SELECT mlops_train_now('points', 'SELECT x, y FROM points FOR UPDATE', 'y');
SELECT mlops_train_now('points', 'WITH d AS (DELETE FROM points RETURNING *) SELECT x, y FROM d', 'y');

-- so is a function in it that writes, even one that tries to get round it
CREATE FUNCTION spy(x int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO source_test.points VALUES (0, x);
    RETURN x;
END $$;
CREATE FUNCTION sly_spy(x int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('transaction_read_only', 'off', true);
    RETURN source_test.spy(x);
END $$;
\set SHOW_CONTEXT never
SELECT mlops_train_now('points', 'SELECT spy(x) AS x, y FROM points', 'y');
SELECT mlops_train_now('points', 'SELECT sly_spy(x) AS x, y FROM points', 'y');
\set SHOW_CONTEXT errors
SHOW transaction_read_only;
SELECT count(*) AS still_two_hundred FROM points;

-- mistakes in the source are shown where they are
SELECT mlops_train_now('points', 'SELECT x, y FRM points', 'y');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_train_now('points', 'SELECT x, yy FROM points', 'y');
SELECT mlops_train_now('points', 'nowhere', 'y');

-- columns are found by their names
SELECT mlops_train_now('other', 'points', 'Y');
SELECT mlops_train_now('points', 'points', 'y', features => '{x,color}');
SELECT mlops_train_now('points', 'points', 'y', exclude => '{nothing}');
SELECT mlops_train_now('points', 'SELECT x, x, y FROM points', 'y');
SELECT mlops_train_now('points', 'SELECT FROM points', 'y');

-- what cannot be a feature is named, with the way out
SELECT mlops_train_now('points', $$SELECT x, y, '{}'::jsonb AS "it's json" FROM points$$, 'y');
SELECT mlops_train_now('points', $$SELECT x, y, '{}'::jsonb AS "it's json" FROM points$$, 'y',
                       exclude => '{"it''s json"}') > 0 AS left_out;
SELECT mlops_train_now('points', $$SELECT x, '{}'::jsonb AS y FROM points$$, 'y');
SELECT mlops_train_now('points', 'points', 'y', weight => 'colour');
SELECT mlops_train_now('points', 'points', 'y', time_column => 'colour');
SELECT mlops_train_now('points', 'SELECT y, CASE id WHEN 3 THEN ARRAY[1] ELSE ARRAY[1, x] END AS a FROM points ORDER BY id', 'y');

-- the caller's rights decide what can be read, and filtered rows are recorded
CREATE ROLE regress_ml_reader;
GRANT USAGE ON SCHEMA source_test TO regress_ml_reader;
GRANT SELECT ON "user" TO regress_ml_reader;
SELECT mlops_grant('points', 'regress_ml_reader', 'train');
ALTER TABLE "user" ENABLE ROW LEVEL SECURITY;
CREATE POLICY small ON "user" USING (x < 50);
SELECT mlops_train_now('points', 'user', 'y') AS version \gset
SELECT row_security, rows_read FROM mlops.version WHERE model = 'points' AND version = :version;
SET ROLE regress_ml_reader;
SELECT mlops_train_now('points', 'user', 'y') AS version \gset
SELECT row_security, rows_read FROM mlops.version WHERE model = 'points' AND version = :version;
SELECT mlops_train_now('points', 'points', 'y');
RESET ROLE;

-- memory is counted before it is taken
SET mlops.max_training_memory = '1MB';
\set VERBOSITY terse
SELECT mlops_train_now('points', 'SELECT i AS x, i AS y FROM generate_series(1, 100000) AS i', 'y', options => '{"engine": "memory"}');
\echo :LAST_ERROR_SQLSTATE
RESET mlops.max_training_memory;

SELECT mlops_drop_model('points');
DROP SCHEMA source_test CASCADE;
DROP ROLE regress_ml_reader;
