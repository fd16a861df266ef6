-- The same spec on the same set of rows gives the same bytes: in whatever
-- order rows are stored or scanned, on any number of workers, with any
-- work_mem, plan, or settings of the session; only what the rows are counts.
CREATE SCHEMA repeatable_test;
SET search_path = repeatable_test;
SET client_min_messages = warning;
SET TimeZone = 'UTC';
CREATE TABLE points AS
SELECT i AS id, (i * 37 % 101) / 7.0::float8 AS a, sin(i)::float4 AS b, CASE WHEN i % 9 > 0 THEN i % 31 END AS c,
       (ARRAY['red', 'green', 'blue', 'Ärger', NULL])[i % 5 + 1] AS colour, timestamptz '2025-03-30 00:00+00' + i * interval '17 minutes' AS at,
       ARRAY[cos(i), i % 3]::float8[] AS v, 2 * sin(i) + i % 31 + cos(i * 7) AS y, sin(i) + sin(i * 7) > 0 AS won
  FROM generate_series(1, 20000) AS i;
CREATE TABLE shuffled AS SELECT * FROM points ORDER BY md5(id::text);
CREATE TABLE backwards (LIKE points) PARTITION BY HASH (id);
CREATE TABLE backwards_0 PARTITION OF backwards FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE backwards_1 PARTITION OF backwards FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO backwards SELECT * FROM points ORDER BY id DESC;
CREATE INDEX ON shuffled (b);
ANALYZE;

CREATE FUNCTION train(source text, target text, params jsonb DEFAULT '{}', options jsonb DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    name text := 'repeat_' || target;
    number int := mlops_train_now(name, format('SELECT a, b, c, colour, at, v, %I FROM %s', target, source), target, params => params, options => options);
BEGIN
    RETURN (SELECT encode(sha256, 'hex') FROM mlops.version AS v WHERE v.model = name AND v.version = number);
END $$;
SELECT train('points', 'y') AS y, train('points', 'won') AS won, train('points', 'y', '{"l2": 1}', '{"refit": true}') AS ridge \gset

-- stored in another order, in partitions, read backwards, through an index
SELECT train('shuffled', 'y') = :'y' AND train('shuffled', 'won') = :'won' AS shuffled,
       train('backwards', 'y') = :'y' AND train('backwards', 'won') = :'won' AS partitioned,
       train('(SELECT * FROM points ORDER BY b DESC) AS s', 'y') = :'y' AS sorted,
       train('shuffled', 'y', '{"l2": 1}', '{"refit": true}') = :'ridge' AS ridge;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT train('(SELECT * FROM shuffled WHERE b > -2) AS s', 'won') = :'won' AS by_index;
RESET enable_seqscan;

-- on workers, that hand rows over in another order every time
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SELECT train('points', 'y') = :'y' AND train('shuffled', 'won') = :'won' AS parallel;
CREATE FUNCTION in_leader() RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE AS
    $$ BEGIN RETURN pg_backend_pid() = current_setting('repeatable.leader')::int; END $$;
SELECT set_config('repeatable.leader', pg_backend_pid()::text, false) IS NOT NULL AS set;
SET parallel_leader_participation = off;
CALL mlops_train('repeat_workers', 'SELECT a, y, in_leader() AS leader FROM points WHERE id <= 2000', 'y', options => '{"keep_rows": true}');
SELECT DISTINCT r ->> 'leader' AS read_by_leader FROM mlops_rows('repeat_workers/1') AS r;
CALL mlops_reproduce('repeat_workers/1');
SET max_parallel_workers_per_gather = 0;

-- with joins and sorts that spill, or not
SET work_mem = '64kB';
SELECT train('points JOIN (SELECT id FROM shuffled ORDER BY md5(id::text)) AS s USING (id)', 'y') = :'y' AS spilled;
SET work_mem = '64MB';
SET enable_hashjoin = off;
SELECT train('points JOIN (SELECT id FROM shuffled ORDER BY md5(id::text)) AS s USING (id)', 'y') = :'y' AS in_memory;

-- under other settings of the session
SET extra_float_digits = -5;
SET DateStyle = 'German';
SET IntervalStyle = 'sql_standard';
SET bytea_output = 'escape';
SET mlops.max_training_memory = '200MB';
SELECT train('points', 'y') = :'y' AS other_settings;
RESET DateStyle;
RESET extra_float_digits;

-- a row counted twice, a bit of a value, a time zone that parts of times are taken in: other bytes
SELECT train('(TABLE points UNION ALL (SELECT * FROM points ORDER BY id LIMIT 1)) AS s', 'y') = :'y' AS a_row_twice,
       train('(SELECT id, CASE id WHEN 5 THEN a + 1e-12 ELSE a END AS a, b, c, colour, at, v, y FROM points) AS s', 'y') = :'y' AS a_bit;
SET TimeZone = 'America/New_York';
SELECT train('points', 'y') = :'y' AS another_time_zone;
SET TimeZone = 'UTC';

-- the rows are known by their fingerprint, in any order
SELECT model, count(DISTINCT data_fingerprint) AS sets_of_rows, count(DISTINCT schema_fingerprint) AS sets_of_columns
  FROM mlops.version WHERE model IN ('repeat_y', 'repeat_won') GROUP BY model ORDER BY model;

RESET ALL;
SET client_min_messages = warning;
SELECT mlops_drop_model('repeat_y'), mlops_drop_model('repeat_won'), mlops_drop_model('repeat_workers');
DROP SCHEMA repeatable_test CASCADE;
