-- A row can also come as a document: json, jsonb or text with a key for each
-- column, or as float8[] (or an array literal, or a JSON array) with the
-- numbers of all columns in order. The score is the same as that of the row.
-- Values must be of the sort that the column is of; dates and times are
-- ISO 8601 whatever DateStyle and TimeZone say.
CREATE SCHEMA predict_input;
SET search_path = predict_input;
SET client_min_messages = warning;
\set SHOW_CONTEXT never

CREATE TYPE size AS ENUM ('small', 'large');
CREATE TABLE t (id int, a float8, n numeric(8,2), plan varchar(10), size size, vip bool, born date,
                seen timestamptz, at timestamp, daytime time, stay interval, v real[], y float8);
INSERT INTO t
SELECT i, i % 11, (i % 7) / 4.0, (ARRAY['basic', 'pro', 'team'])[1 + i % 3],
       (ARRAY['small', 'large'])[1 + i % 2]::size, i % 5 = 0, date '1990-01-01' + i * 3,
       timestamptz '2024-03-01 00:00+00' + i * interval '7 hours', timestamp '2024-03-01' + i * interval '5 hours',
       time '06:00' + i % 9 * interval '30 minutes', i % 13 * interval '90 minutes', ARRAY[i % 4, i % 6 + 0.5],
       i % 11 + i % 7 + (i * 37 % 41)
  FROM generate_series(1, 300) AS i;
UPDATE t SET a = NULL, plan = NULL, born = NULL, v = NULL WHERE id % 50 = 0;
SET TimeZone = 'America/New_York';
SELECT mlops_train_now('m', 'TABLE predict_input.t', 'y', exclude => '{id}', params => '{"l2": 0.1}');
SELECT version FROM mlops_promote('m', 1);

-- one score, whatever the form
SET IntervalStyle = iso_8601;
SELECT count(*) AS rows,
       bool_and(mlops_predict('m', t) = mlops_predict('m', to_json(t))) AS json,
       bool_and(mlops_predict('m', t) = mlops_predict('m', to_jsonb(t))) AS jsonb,
       bool_and(mlops_predict('m', t) = mlops_predict('m', to_json(t)::text)) AS text
  FROM t;

-- settings change nothing: a time without an offset is read in the zone that the model was trained in
CREATE VIEW document AS
SELECT '{"a": 1, "n": 1.5, "plan": "pro", "size": "large", "vip": true, "born": "1990-02-03",
         "seen": "2024-07-01T12:00:00", "at": "2024-07-01T12:00", "daytime": "08:30", "stay": "PT2H30M", "v": [1, 2.5]}'::jsonb AS d;
CREATE TABLE before AS SELECT mlops_predict('m', d) AS p FROM document;
SET TimeZone = 'Asia/Tokyo';
SET DateStyle = 'SQL, DMY';
SELECT mlops_predict('m', d) = p AS same,
       mlops_predict('m', d || '{"seen": "2024-07-01T12:00:00-04:00"}') = p AS offset_given,
       mlops_predict('m', d || '{"seen": "2024-07-01 16:00:00.000Z", "vip": 1}') = p AS utc,
       mlops_predict('m', d || '{"stay": "P0DT150M", "more": {"x": []}}') = p AS minutes
  FROM document, before;
SET DateStyle = 'ISO, MDY';

-- null is NULL; a document that is null, or all of whose keys are, scores NULL
SELECT mlops_predict('m', d || '{"a": null, "v": null, "seen": null}') IS NOT NULL AS some_null FROM document;
SELECT mlops_predict('m', 'null'::jsonb), mlops_predict('m', NULL::json), mlops_predict('m', NULL),
       mlops_predict('m', '{"a": null, "b": null}');

-- NaN is missing, and JSON has it as a string
SELECT mlops_predict('m', d || '{"a": "NaN"}') = mlops_predict('m', d || '{"a": null}') AS missing FROM document;

-- refused: keys that are missing, values of another sort
SELECT mlops_predict('m', d - '{a,plan,born}'::text[] || '{"Plan": "pro"}') FROM document;
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_predict('m', '{}');
SELECT mlops_predict('m', d || '{"a": "1"}') FROM document;
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_predict('m', d || '{"a": true}') FROM document;
SELECT mlops_predict('m', d || '{"plan": 3}') FROM document;
SELECT mlops_predict('m', d || '{"vip": "yes"}') FROM document;
SELECT mlops_predict('m', d || '{"born": "03/02/1990"}') FROM document;
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_predict('m', d || '{"born": "1990-02-30"}') FROM document;
SELECT mlops_predict('m', d || '{"born": "08:30"}') FROM document;
SELECT mlops_predict('m', d || '{"stay": "02:30:00"}') FROM document;
SELECT mlops_predict('m', d || '{"at": "2024-07-01T12:00Z"}') FROM document;
SELECT mlops_predict('m', d || '{"v": [1]}') FROM document;
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_predict('m', d || '{"v": [1, "2"]}') FROM document;

-- refused: what is no document at all
SELECT mlops_predict('m', '{"a": 1, ');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_predict('m', '"basic"'::jsonb);

-- numbers alone, in the order of the model's columns
SELECT mlops_train_now('flat', 'SELECT v, a, n, y FROM predict_input.t WHERE a IS NOT NULL', 'y');
SELECT bool_and(mlops_predict('flat/1', t) = mlops_predict('flat/1', ARRAY[v[1], v[2], a, n])) AS array,
       bool_and(mlops_predict('flat/1', t) = mlops_predict('flat/1', ARRAY[v[1], v[2], a, n]::text)) AS literal,
       bool_and(mlops_predict('flat/1', t) = mlops_predict('flat/1', jsonb_build_array(v[1], v[2], a, n))) AS json
  FROM t WHERE a IS NOT NULL;
SELECT mlops_predict('flat/1', '{1, 2, NULL, 4}') = mlops_predict('flat/1', '[1, 2, null, 4]') AS missing,
       mlops_predict('flat/1', '{NULL, NULL, NULL, NULL}') AS all_missing;
SELECT mlops_predict('flat/1', '{1, 2}'::float8[]);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_predict('flat/1', '[1, 2, 3, "4"]');
SELECT mlops_predict('flat/1', s) FROM (SELECT ARRAY[1, 2, 3] AS v, 1 AS a, 2 AS n) AS s;
SELECT mlops_predict('m', '{1, 2}'::float8[]);
\echo :LAST_ERROR_SQLSTATE

-- where a missing value was no row to train on, it is none to score
SELECT mlops_train_now('strict', 'SELECT a, n, y FROM predict_input.t', 'y', params => '{"impute": "drop"}');
SELECT mlops_predict('strict/1', '{"a": null, "n": 1}') AS dropped,
       mlops_predict('strict/1', '{"a": 1, "n": 1}') IS NOT NULL AS whole;

-- keys of a document are names that somebody gave, even f1; those of ROW(...) are not
SELECT mlops_predict('strict/1', '{"f1": 1}');
SELECT mlops_predict('strict/1', ROW(1));

DROP SCHEMA predict_input CASCADE;
SELECT mlops_drop_model(m, force => true) FROM unnest(ARRAY['m', 'flat', 'strict']) AS m;
