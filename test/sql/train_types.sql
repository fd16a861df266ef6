-- Every type that can be a feature trains and scores: numbers, booleans, text
-- and enums, dates and times, arrays, domains over these. A source can be a
-- table, a view, a partitioned or a materialised table, or a query; a table of
-- 1,600 columns trains.

CREATE SCHEMA train_types_test;
SET search_path = train_types_test;
SET client_min_messages = warning;
SET TimeZone = 'UTC';
CREATE TYPE size AS ENUM ('small', 'large');
CREATE DOMAIN share AS numeric CHECK (VALUE BETWEEN 0 AND 1);
CREATE TABLE every AS
SELECT (i % 7)::int2 AS "int2", i % 11 AS "int4", (i % 13)::int8 AS "int8",
       (i % 17)::float4 AS "float4", (i % 19)::float8 AS "float8", (i % 23)::numeric AS "numeric",
       i % 2 = 0 AS "bool", 't' || i % 3 AS "text", ('v' || i % 4)::varchar(5) AS "varchar", ('c' || i % 5)::char(4) AS "char",
       (ARRAY['small', 'large'])[i * 7 % 2 + 1]::size AS "enum", date '2025-01-01' + i % 300 AS "date",
       timestamp '2025-01-01' + i * 7 % 311 * interval '1 hour' AS "timestamp",
       timestamptz '2025-01-01 00:00+00' + i * 11 % 313 * interval '1 hour' AS "timestamptz",
       time '00:00' + i * 13 % 24 * interval '1 hour' AS "time", i % 31 * interval '1 hour' AS "interval",
       ARRAY[i % 29, i % 37]::float4[] AS "array", (i % 41 / 41.0)::share AS "domain",
       CASE WHEN i % 10 > 0 THEN i % 43 END AS "missing",
       i % 7 + i % 13 + sin(i) AS y
  FROM generate_series(1, 2000) AS i;

CALL mlops_train('every', 'every', 'y', params => '{"missing_indicator": true}');
SELECT feature, count(*) AS terms FROM mlops_coefficients('every/1') WHERE feature IS NOT NULL GROUP BY feature ORDER BY feature COLLATE "C";
SELECT (holdout_metrics ->> 'r2')::float8 > 0.9 AS good FROM mlops.version WHERE model = 'every';
SELECT bool_and(abs(mlops_predict('every/1', e) - y) < 4) AS scores FROM every e;
SELECT count(mlops_predict('every/1', NULL::every)) AS null_row FROM every LIMIT 1;

-- sources of every kind give the same version
CREATE VIEW v AS SELECT "int2", "int8", y FROM every;
CREATE MATERIALIZED VIEW mv AS SELECT * FROM v;
CREATE TABLE parts (LIKE mv) PARTITION BY LIST ("int2");
CREATE TABLE part_0 PARTITION OF parts FOR VALUES IN (0, 1, 2);
CREATE TABLE part_1 PARTITION OF parts DEFAULT;
INSERT INTO parts SELECT * FROM v;
SELECT s, mlops_train_now('source', s, 'y') AS version
  FROM unnest(ARRAY['v', 'mv', 'parts', 'train_types_test.parts', 'TABLE v', 'SELECT * FROM v ORDER BY y',
                    'WITH w AS (SELECT * FROM v) SELECT * FROM w', 'SELECT "int2", "int8", y FROM every -- a comment']) AS s;
SELECT count(DISTINCT sha256) AS different FROM mlops.version WHERE model = 'source';

-- 1,600 columns
DO $$
BEGIN
    EXECUTE (SELECT format('CREATE TABLE wide AS SELECT %s, i %% 10 + sin(i) AS y FROM generate_series(1, 100) AS i',
                           string_agg(format('(i * %s %% %s)::int2 AS "Column %s"', 7919 + 2 * c, 10007 + 2 * c, c), ', '))
               FROM generate_series(1, 1599) AS c);
END $$;
CALL mlops_train('wide', 'wide', 'y', params => '{"l2": 1}');
SELECT jsonb_array_length(columns) AS columns FROM mlops.version WHERE model = 'wide';
SELECT count(*) AS terms FROM mlops_coefficients('wide/1');

SELECT count(mlops_drop_model(m, force => true)::text) AS dropped FROM unnest(ARRAY['every', 'source', 'wide']) AS m;
DROP SCHEMA train_types_test CASCADE;
