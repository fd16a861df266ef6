-- CALL mlops_reproduce trains a version again from its spec, registers
-- nothing, and says whether the bytes are the same; if not, what changed.
-- A version that kept its rows is trained from these.

CREATE SCHEMA reproduce_test;
SET search_path = reproduce_test;
SET client_min_messages = warning;
CREATE TABLE points AS
SELECT i::float8 AS x, (ARRAY['a', 'b', 'c'])[i % 3 + 1] AS "Kind", date '2025-01-01' + i AS day,
       i / 7.0::numeric AS n, ARRAY[i % 5, i % 7]::float8[] AS v, 2 * i + 10 * sin(i) AS y
  FROM generate_series(1, 300) AS i;

CALL mlops_train('again', 'points', 'y');
CALL mlops_train('again', 'points', options => '{"keep_rows": true, "refit": true}');
SELECT version, rows_kept FROM mlops.version WHERE model = 'again' ORDER BY version;
SELECT * FROM mlops_rows('again/2') LIMIT 1;

-- today the source is the same, and so are the bytes
CALL mlops_reproduce('again/1');
CALL mlops_reproduce('again/2');
SELECT count(*) AS versions FROM mlops.version WHERE model = 'again';

-- in another order of rows, under other settings, too
CREATE TABLE other AS SELECT * FROM points ORDER BY md5(x::text);
ALTER TABLE points RENAME TO original;
ALTER TABLE other RENAME TO points;
SET search_path = pg_catalog;
SET DateStyle = 'SQL, DMY';
SET TimeZone = 'Asia/Kathmandu';
SET extra_float_digits = 0;
CALL mlops_reproduce('again/1');
RESET DateStyle;
RESET TimeZone;
RESET extra_float_digits;
SET search_path = reproduce_test;

-- a source that compares with NULL reads no other rows where the caller has that mean IS NULL
CALL mlops_train('nulls', 'SELECT * FROM points WHERE (x = NULL) IS NULL', 'y', 'baseline');
SET transform_null_equals = on;
CALL mlops_reproduce('nulls/1');
RESET transform_null_equals;
SELECT mlops_drop_model('nulls');

-- a row changed
UPDATE points SET y = y + 1 WHERE x = 7;
CALL mlops_reproduce('again/1', NULL, NULL) \gset
SELECT :'same_bytes' AS same_bytes, split_part(:'explanation', ';', 1) AS why;

-- a row more, a column of another type
INSERT INTO points SELECT * FROM points LIMIT 1;
ALTER TABLE points ALTER n TYPE float4;
CALL mlops_reproduce('again/1', NULL, NULL) \gset
SELECT split_part(:'explanation', ';', 1) AS why, split_part(:'explanation', ';', 2) AS and_why;

-- the rows that were kept know nothing of that
CALL mlops_reproduce('again/2');

-- the source is gone
DROP TABLE points;
CALL mlops_reproduce('again/1');
CALL mlops_reproduce('again/2');

-- rows are kept in batches, of 1,000 or of a megabyte, in the order they were read in; and dropped with their version
CREATE TABLE narrow AS SELECT i AS x, i % 7 + i AS y FROM generate_series(1, 2500) AS i;
CREATE TABLE wide AS SELECT i AS x, i % 7 + i AS y, repeat(md5(i::text), 20000) AS note FROM generate_series(1, 5) AS i;
SELECT mlops_train_now('batches', 'narrow', 'y', holdout => 0, options => '{"keep_rows": true}');
SELECT mlops_train_now('batches', 'wide', 'y', exclude => '{note}', holdout => 0, options => '{"keep_rows": true}');
SELECT count(*), bool_and((r ->> 'x')::bigint = n) AS in_order FROM mlops_rows('batches/1') WITH ORDINALITY AS k(r, n);
SELECT count(*), bool_and((r ->> 'x')::bigint = n) AS in_order FROM mlops_rows('batches/2') WITH ORDINALITY AS k(r, n);
SELECT mlops_drop_version('batches', 1);
SELECT version, min(n), max(n) FROM mlops_catalog.kept_row WHERE model = 'batches' GROUP BY version;

-- refused
SELECT * FROM mlops_rows('again/1');
CALL mlops_reproduce('again/9');
CALL mlops_reproduce('again');

SELECT count(mlops_drop_model(m, force => true)::text) AS dropped FROM unnest(ARRAY['again', 'batches']) AS m;
DROP SCHEMA reproduce_test CASCADE;
