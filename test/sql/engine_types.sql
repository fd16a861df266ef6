-- What columns become where their rows stay where they are: parts of times in the
-- session's time zone, elements of arrays, and more columns than a function can
-- have arguments.
CREATE SCHEMA engine_types;
SET search_path = engine_types;
SET client_min_messages = error;
SET timezone = 'America/New_York';
\set SHOW_CONTEXT never
\i test/sql/include/engines.sql

-- ---- times ----

SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics
  FROM compare('times', 'SELECT at, day, (at AT TIME ZONE ''UTC'')::time + interval ''1 s'' * (id % 50) AS clock, make_interval(hours => id * id % 100) AS wait,
                                CASE WHEN id % 9 > 0 THEN timestamp ''2024-02-01'' + id % 20 * interval ''1 day'' END AS stamp, a, y FROM engine_types.t', 'y');
SELECT term FROM mlops_coefficients('times/2') WHERE term LIKE '%(%' ORDER BY term COLLATE "C";
-- a circle that the rows do not show has no columns: a week of mornings
SELECT terms, same_rows, same_metrics
  FROM compare('week', 'SELECT date ''2024-01-01'' + id % 7 AS day, timestamptz ''2024-01-01 08:00+00'' + id % 900 * interval ''1 day'' AS at, y FROM engine_types.t', 'y');
SELECT array_agg(term ORDER BY term COLLATE "C") AS terms FROM mlops_coefficients('week/2');
-- a version scores in the zone that it was trained in
SET timezone = 'Asia/Tokyo';
SELECT max(abs(mlops_predict('times/1', q) - mlops_predict('times/2', q))) < 1e-9 AS same
  FROM (SELECT at, day, (at AT TIME ZONE 'UTC')::time + interval '1 s' * (id % 50) AS clock, make_interval(hours => id * id % 100) AS wait,
               timestamp '2024-02-01' + id % 20 * interval '1 day' AS stamp, a FROM t WHERE id < 300) AS q;

-- ---- arrays, with NULL arrays and NULL elements ----

SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics FROM compare('arrays', 'SELECT v, ARRAY[id % 3, id % 4, 5] AS w, y FROM engine_types.t', 'y');
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics
  FROM compare('median', 'SELECT v, at, z, y FROM engine_types.t', 'y', params => '{"impute": "median", "missing_indicator": true}');
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics
  FROM compare('bayes', 'SELECT v, at, day, z, c, w FROM engine_types.t', 'c', 'naive_bayes', weight => 'w');
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics
  FROM compare('drop', 'SELECT CASE WHEN id % 6 > 0 THEN at END AS at, v, z, y FROM engine_types.t', 'y', params => '{"impute": "drop"}');

-- ---- many columns, which come as one row, and many values, most of which have no place ----

SELECT string_agg(format('sin(id * %s) AS c%s', i, i), ', ') AS columns FROM generate_series(1, 140) AS i \gset
CREATE TABLE wide AS SELECT id, y, c, CASE WHEN id % 5 = 0 THEN NULL ELSE 'v' || id % 500 END AS t, :columns FROM t LIMIT 1200;
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics FROM compare('wide', 'engine_types.wide', 'y', key => 'id', exclude => '{c}', params => '{"max_categories": 9, "l2": 1}');
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics FROM compare('wide_bayes', 'engine_types.wide', 'c', 'naive_bayes', exclude => '{id}');
SELECT same_rows, same_metrics FROM compare('wide_clusters', 'engine_types.wide', NULL, 'kmeans', '{"k": 3}', exclude => '{id,c,t}');
-- an array of more elements than a query can have results
CREATE TABLE vectors AS SELECT y, (SELECT array_agg(sin(id * j)) FROM generate_series(1, 700) AS j) AS v FROM t LIMIT 900;
SELECT terms, difference < 1e-8 AS same, same_rows, same_metrics FROM compare('vectors', 'engine_types.vectors', 'y', params => '{"l2": 5}');
-- names that the queries use themselves
SELECT terms, difference < 1e-10 AS same, same_rows, same_metrics
  FROM compare('names', 'SELECT a AS p, b AS q, z AS i, plan AS v, f AS n, w AS s, at AS t, y AS r FROM engine_types.t', 'r', weight => 's');

-- ---- refused ----

SELECT mlops_train_now('no', 'SELECT array_fill(1, ARRAY[1 + id % 2]) AS v, y FROM engine_types.t', 'y', options => '{"engine": "sql"}');
SELECT mlops_train_now('no', 'SELECT NULL::int[] AS v, y FROM engine_types.t', 'y', options => '{"engine": "sql"}');
SELECT mlops_train_now('no', 'SELECT CASE WHEN id = 7 THEN ''infinity'' ELSE at END AS at, y FROM engine_types.t', 'y', options => '{"engine": "sql"}');
-- the functions of such queries trust nobody
SELECT mlops.row_parts('{a,b}', ROW(1, 2, 3));
SELECT mlops.row_parts('{a,b}', r) FROM (VALUES (1, ROW(1, 2)), (2, ROW(1, 'x'::text)), (3, NULL)) AS v (n, r);
SELECT mlops.row_usec(1) IS NULL AS no_time, mlops.row_length('x'::text) IS NULL AS no_array, mlops.row_length(ARRAY[1, NULL]) AS two;
SELECT mlops.row_label(mlops_bundle('times/1'), now());
-- and no function of somebody's is taken for theirs, however well it fits; the source may call any
CREATE FUNCTION mlops.row_label(mlops.bundle, float8) RETURNS float8 LANGUAGE sql AS 'SELECT 1::float8';
SELECT mlops_train_now('no', 'SELECT id, y::float8 FROM engine_types.t', 'y', options => '{"engine": "sql"}');
DROP FUNCTION mlops.row_label(mlops.bundle, float8);
CREATE SCHEMA engine_mine;
CREATE FUNCTION engine_mine.above(float8, int) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR engine_mine.> (LEFTARG = float8, RIGHTARG = int, FUNCTION = engine_mine.above);
SET search_path = engine_mine;
SELECT mlops_train_now('no', 'SELECT id, y::float8, 2 AS w FROM engine_types.t', 'y', weight => 'w', options => '{"engine": "sql"}');
SELECT mlops_train_now('drop', 'SELECT id, y::float8 FROM engine_types.t WHERE NOT y::float8 > 0', 'y', options => '{"engine": "sql"}') > 0 AS trained;
RESET search_path;
DROP SCHEMA engine_mine CASCADE;

SELECT count(mlops_drop_model(m)::text)
  FROM unnest('{times,week,arrays,median,bayes,drop,wide,wide_bayes,wide_clusters,vectors,names}'::text[]) AS m;
RESET timezone;
DROP SCHEMA engine_types CASCADE;
