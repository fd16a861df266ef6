-- mlops_bundle(model) is what serves of a model as a value: version, threshold
-- and artifact. mlops_predict(bundle, row) needs nothing else, reads no table and
-- is immutable, so that it runs where the registry is not: on foreign servers,
-- on the workers of a cluster, in generated columns.
CREATE SCHEMA bundle;
SET search_path = bundle;
SET client_min_messages = warning;
\set SHOW_CONTEXT never

CREATE TABLE t (id int PRIMARY KEY, a float8, b int, plan text, town text, since date, churned text, y numeric);
INSERT INTO t
SELECT i, i % 11, i % 7, (ARRAY['basic', 'pro'])[1 + i % 2], 'a town of a long enough name ' || i % 20, date '2024-01-01' + i,
       CASE WHEN i % 11 + i % 3 > i % 7 THEN 'yes' ELSE 'no' END, 3 + 2 * (i % 11) - i % 7
  FROM generate_series(1, 200) AS i;
SELECT mlops_train_now('line', 'SELECT a, b, y FROM bundle.t', 'y');
SELECT mlops_train_now('churn', 'SELECT a, b, plan, town, since, churned FROM bundle.t', 'churned',
                       params => '{"l2": 1}');
SELECT version FROM mlops_promote('line', 1);
SELECT version FROM mlops_promote('churn', 1, threshold => 0.7);

-- the same scores, to the bit, from whatever input
SELECT bool_and(mlops_predict((SELECT mlops_bundle('line')), t) = mlops_predict('line', t)) AS value,
       bool_and(mlops_predict((SELECT mlops_bundle('churn')), t) = mlops_predict('churn', t)) AS probability,
       bool_and(mlops_predict_label((SELECT mlops_bundle('churn')), t) = mlops_predict_label('churn', t)) AS label,
       bool_and(mlops_predict_proba((SELECT mlops_bundle('churn')), t) = mlops_predict_proba('churn', t)) AS proba,
       bool_and(mlops_predict((SELECT mlops_bundle('churn')), to_jsonb(t)) = mlops_predict('churn', t)) AS jsonb,
       bool_and(mlops_predict((SELECT mlops_bundle('churn')), to_json(t)) = mlops_predict('churn', t)) AS json,
       bool_and(mlops_predict((SELECT mlops_bundle('churn')), row_to_json(t)::text) = mlops_predict('churn', t)) AS text,
       bool_and(mlops_predict((SELECT mlops_bundle('line')), ARRAY[a, b]) = mlops_predict('line', t)) AS array
  FROM t;
SELECT mlops_predict(mlops_bundle('line'), '{"a": 1, "b": 2}')::numeric(9, 6) AS literal,
       mlops_predict(mlops_bundle('line'), NULL::t) IS NULL AS null_row;

-- any reference: the active version, a version by its number, an alias
SELECT mlops_set_alias('line', 'fallback', 1);
SELECT mlops_bundle('line')::text = mlops_bundle('line/1')::text AS number,
       mlops_bundle('line')::text = mlops_bundle('line@fallback')::text AS alias;

-- The threshold is part of it: the label follows what served when it was made.
CREATE TABLE saved AS SELECT mlops_bundle('churn') AS bundle;
SELECT version FROM mlops_promote('churn', 1, threshold => 0.2);
SELECT count(*) FILTER (WHERE mlops_predict_label(bundle, t) = 'yes') <
       count(*) FILTER (WHERE mlops_predict_label('churn', t) = 'yes') AS stricter FROM t, saved;

-- It outlives its model: only making one asks for a privilege.
SELECT mlops_drop_model('churn', force => true);
SELECT count(mlops_predict(bundle, t)) FROM t, saved;
SELECT mlops_bundle('churn');
\echo :LAST_ERROR_SQLSTATE
CREATE ROLE regress_bundle_reader;
GRANT USAGE ON SCHEMA bundle TO regress_bundle_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA bundle TO regress_bundle_reader;
SET ROLE regress_bundle_reader;
SELECT mlops_bundle('line');
\echo :LAST_ERROR_SQLSTATE
SELECT count(mlops_predict(bundle, t)) FROM t, saved;
RESET ROLE;

-- Immutable and safe in parallel workers; mlops_bundle itself, which reads the
-- registry, is neither.
SELECT DISTINCT proname COLLATE "C" AS name, provolatile, proparallel FROM pg_proc
 WHERE pronamespace = 'pg_catalog'::regnamespace AND proname LIKE 'mlops\_%'
   AND (proname = 'mlops_bundle' OR proargtypes[0] = 'mlops.bundle'::regtype) ORDER BY 1;
-- The planner takes the row apart; the bundle is made once, by the leader.
BEGIN;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
CREATE FUNCTION plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF, VERBOSE) ' || query;
END
$$;
SELECT count(*) FILTER (WHERE line LIKE '%Gather%') AS gathers,
       count(*) FILTER (WHERE line LIKE '%PARTIAL sum(mlops.bundle_predict_columns(%town, t.since%') > 0 AS columns,
       count(*) FILTER (WHERE line LIKE '%mlops_bundle(%') AS bundles
  FROM plan($$SELECT sum(mlops_predict((SELECT mlops_bundle('line')), t)) FROM t$$) AS line;
SELECT abs(sum(mlops_predict((SELECT mlops_bundle('line')), t)) - sum(y)) < 1e-6 AS recovered FROM t;
COMMIT;

-- in a column that is generated
DO $$
BEGIN
    EXECUTE format('CREATE TABLE scored (a float8, b int, p float8 GENERATED ALWAYS AS '
                   '(mlops_predict(%L::mlops.bundle, ARRAY[a, b])) STORED)', mlops_bundle('line'));
END
$$;
INSERT INTO scored VALUES (1, 2), (10, 4);
SELECT a, b, round(p::numeric, 6) AS p FROM scored;

-- stored out of line it is found by its header; rows may bring different ones
CREATE TABLE several (n int, bundle mlops.bundle);
INSERT INTO several SELECT 1, mlops_bundle('line') UNION ALL SELECT 2, bundle FROM saved;
SELECT n, pg_column_size(bundle) > 2000 AS out_of_line, count(mlops_predict(bundle, t)) FROM several, t GROUP BY n, bundle::text, 2 ORDER BY n;
CREATE TABLE turns AS
SELECT n, mlops_predict(bundle, row) AS p, row FROM (SELECT n, bundle, t AS row FROM several, t ORDER BY t.id, n) AS q;
SELECT bool_and(p = mlops_predict('line', row)) AS by_turns FROM turns WHERE n = 1;

-- Text and binary form carry every byte.
CREATE TABLE copied AS SELECT bundle::text::mlops.bundle FROM saved;
SELECT s.bundle::text = c.bundle::text AS text FROM saved AS s, copied AS c;
SELECT current_setting('data_directory') || '/bundle_test.copy' AS file \gset
COPY saved TO :'file' (FORMAT binary);
TRUNCATE copied;
COPY copied FROM :'file' (FORMAT binary);
SELECT s.bundle::text = c.bundle::text AS "binary" FROM saved AS s, copied AS c;

-- ---- kept for ever ----

-- A bundle of format 3, which every later version of mlops must read: what is active is of format 2, with a threshold of 0.9, a
-- hard check, a fallback, and rules of which one uses another version and one asks what time it is; the canary, a constant for a
-- quarter of the rows, is of format 1.
CREATE TABLE golden AS SELECT decode(translate('
    894d4c420d0a1a0a0300000001000000f5f228490f29a34be010bd0a8ac066a967158f48505714f02ab7d3c264fbf42bcdccccccccccec3f
    0200000006000000676f6c64656e000000000000000000000000000000000000000000000000000000000000000000000000000000000000
    000000000000000000000000000000000bcd54ccbd35233b88d39eb3511a21d5aee226b819ab6b30977e4ff9b58ed2e6ab07000000000000
    000000000000d03f4b1e728d7102db450400000000000000894d4c420d0a1a0a0200000001000000f5f228490f29a34be010bd0a8ac066a9
    67158f48505714f02ab7d3c264fbf42bcdccccccccccec3f0200000006000000676f6c64656e000000000000000000000000000000000000
    0000000000000000000000000000000000000000000000000000000000000000000000000000000036aa68fd61ac93c66238bbd1095f96e9
    4b677939bb0e06dd1faafca8aa1249c92552670a726106004f0200000000000012010000000000000200000001000000894d4c4f0d0a1a0a
    02000000090000004f02000000000000484541441f00000000000000130000006c6f6769737469635f72656772657373696f6e0400000055
    5446385243504527000000000000000000016400000000000000050000000000000003000000474d54c800000000000000ffffffff004645
    41541e0000000000000001000000010000006110000000646f75626c6520707265636973696f6e014e554d42390000000000000001000000
    010000006100000000000012400000000000001240f0d062a16efa0640000000000000000000000000000022400000000000000000544152
    473a00000000000000010000007907000000626f6f6c65616e020100000002000000000000000000e03f0500000066616c73650000000000
    00e03f04000000747275654453474e0900000000000000010000000000000000505245441d00000000000000000101000000000000000001
    49c6bcb1c62b13c00025e96eba770af13f43414c4901000000000000000046414354cd00000000000000090000000e0000006c6f675f6c69
    6b656c69686f6f6411f0e470729049c0130000006e756c6c5f6c6f675f6c696b656c69686f6f64437d3357245461c0080000006465766961
    6e636511f0e470729059400d0000006e756c6c5f64657669616e6365437d335724547140120000006d6366616464656e5f725f7371756172
    6564387f00bfac32e43f0a000000697465726174696f6e730000000000001c40020000006c310000000000000000020000006c3200000000
    0000f03f070000006e6f6e7a65726f000000000000f03f894d4c520d0a1a0a0200000004000000555446380200000003000000474d540100
    00000100000061010102000000000000000000004000000000000014400000000001000000002034d2f663060002000000050000006f7468
    65720400000000000000000000000000000000000000000200000000070000000000000001000000190000000f000200040000000e000100
    05000000040000007468656e00000000000000d03f000000000000d03f0000000000000000000c0000000000000001000100190000000f00
    07000d00000003000000530000001c0200000f000200040000000e0001000500000001000000040000006869676801000100000001000000
    61000000000000f0ff0000000000001c400300000000000000000000000000e03fe74f3053777d1097264f14f472fa622a6cc094d56a0d0a
    0b8be9c8805e832d948d01000000000000894d4c4f0d0a1a0a02000000090000008d01000000000000484541441400000000000000080000
    00626173656c696e6504000000555446385243504527000000000000000000006400000000000000050000000000000003000000474d5464
    00000000000000ffffffff00464541541e0000000000000001000000010000006110000000646f75626c6520707265636973696f6e014e55
    4d42390000000000000001000000010000006100000000000000400000000000000040cd3b7f669ea0f63f00000000000000000000000000
    0010400000000000000000544152473a00000000000000010000007907000000626f6f6c65616e0201000000020000009a9999999999e93f
    0500000066616c73659a9999999999c93f04000000747275654453474e090000000000000001000000000000000050524544150000000000
    0000000101000000000000000001ef39fafe422ef6bf0143414c49010000000000000000464143541e00000000000000010000000e000000
    6c6f675f6c696b656c69686f6f646ac854a9260549c00200000002000000000000000000e03ff134b6627e0b72b03ec30c4a3602cdc14449
    75f43b5bdf35e210fa2734adb2968d01000000000000894d4c4f0d0a1a0a02000000090000008d0100000000000048454144140000000000
    000008000000626173656c696e65040000005554463852435045270000000000000000000064000000000000000500000000000000030000
    00474d544200000000000000ffffffff00464541541e0000000000000001000000010000006110000000646f75626c652070726563697369
    6f6e014e554d4239000000000000000100000001000000615d74d145175d12405d74d145175d124076d94202f8d606400000000000000000
    00000000000022400000000000000000544152473a00000000000000010000007907000000626f6f6c65616e020100000002000000000000
    000000e03f0500000066616c7365000000000000e03f04000000747275654453474e09000000000000000100000000000000005052454415
    0000000000000000010100000000000000000100000000000000000143414c49010000000000000000464143541e00000000000000010000
    000e0000006c6f675f6c696b656c69686f6f64be0bf216b5df46c0894d4c420d0a1a0a0100000004000000d47db30e94ad20162b0ebac428
    acdbb38fbb253c1755d5257baf8e38f71eca59cdccccccccccec3f0200000006000000676f6c64656e000000000000000000000000000000
    00000000000000000000000000000000000000000000000000000000000000000000000000000000000000894d4c4f0d0a1a0a0200000009
    0000008d0100000000000048454144140000000000000008000000626173656c696e65040000005554463852435045270000000000000000
    00006400000000000000050000000000000003000000474d547800000000000000ffffffff00464541541e00000000000000010000000100
    00006110000000646f75626c6520707265636973696f6e014e554d4239000000000000000100000001000000610000000000001a40000000
    0000001a400c62e9704053fb3f000000000000104000000000000022400000000000000000544152473a0000000000000001000000790700
    0000626f6f6c65616e020100000002000000555555555555c53f0500000066616c7365abaaaaaaaaaaea3f04000000747275654453474e09
    00000000000000010000000000000000505245441500000000000000000101000000000000000001338dedf741c0f93f0143414c49010000
    000000000000464143541e00000000000000010000000e0000006c6f675f6c696b656c69686f6f64c69e57c39e084bc0
', E' \n', ''), 'hex') AS bytes;
CREATE VIEW parts AS
SELECT 'whole' AS part, bytes FROM golden
UNION ALL SELECT 'active', substr(bytes, 193, (get_byte(bytes, 160) + 256 * get_byte(bytes, 161))) FROM golden
UNION ALL SELECT 'canary', substr(bytes, 193 + get_byte(bytes, 160) + 256 * get_byte(bytes, 161)) FROM golden;
SELECT part, get_byte(bytes, 8) AS format, bytes::text::mlops.bundle::text = bytes::text AS same_bytes FROM parts ORDER BY part;
-- the rows of 4 and 9 are the canary's; 2 is another version's, 5 what a rule says while it is 2026, 8 the fallback's
SELECT a, string_agg(round(mlops_predict(bytes::text::mlops.bundle, ARRAY[a::float8])::numeric, 12) || ' ' || mlops_predict_label(bytes::text::mlops.bundle, ARRAY[a::float8]), ', ' ORDER BY part)
         FILTER (WHERE part <> 'whole') AS active_canary,
       max(round(mlops_predict(bytes::text::mlops.bundle, jsonb_build_object('a', a))::numeric, 12) || ' ' || mlops_predict_label(bytes::text::mlops.bundle, jsonb_build_object('a', a)))
         FILTER (WHERE part = 'whole') AS whole
  FROM parts, generate_series(0, 9) AS a GROUP BY a ORDER BY a;

-- ---- refused ----

SELECT mlops_predict(NULL::mlops.bundle, '{"a": 1, "b": 2}');
SELECT mlops_bundle(NULL);
SELECT mlops_predict_label(mlops_bundle('line'), '{"a": 1, "b": 2}');
SELECT mlops_predict(mlops_bundle('line'), '{"a": 1}');

-- bytes that are none
SELECT ''::mlops.bundle;
SELECT '\x0'::mlops.bundle;
SELECT '\x0g'::mlops.bundle;
\echo :LAST_ERROR_SQLSTATE
SELECT '\x00'::mlops.bundle;
\echo :LAST_ERROR_SQLSTATE
CREATE FUNCTION changed(at int, patch bytea) RETURNS mlops.bundle LANGUAGE sql AS $$
    SELECT overlay(mlops.bundle_send(bundle) PLACING patch FROM at + 1)::text::mlops.bundle FROM saved
$$;
SELECT changed(0, '\x00');
SELECT changed(8, '\x04');                      -- a format of the future
SELECT changed(12, '\x00000000');               -- version 0
SELECT changed(48, '\x000000000000f87f');       -- a threshold that is no number
SELECT changed(56, '\x03');                     -- two tasks
SELECT changed(56, '\x01');                     -- not the model's
SELECT changed(64, '\xff');                     -- no text
SELECT changed(60, '\x07');                     -- an encoding that is not converted to that of the database
\echo :LAST_ERROR_SQLSTATE
SELECT changed(68, '\x58') IS NULL AS null;                -- a longer name is another, harmless one
SELECT changed(100, '\x58');                    -- something behind the name
-- other bytes than the checksum says
\set VERBOSITY terse
SELECT changed(20, '\x00000000');
SELECT changed(300, '\x00000000');
\set VERBOSITY default

-- whatever bytes: a bundle, ML004, or text that is no hexadecimal number
\set ECHO none
\i test/fuzz/mutate.sql
\set ECHO all
CREATE OR REPLACE FUNCTION fuzz_read(bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM mlops_predict(bytes::text::mlops.bundle, '{"a": 1, "b": 2, "plan": "pro", "town": "a town of a long enough name 1", "since": "2024-05-05"}');
    RETURN 'a model';
EXCEPTION WHEN OTHERS THEN
    RETURN CASE WHEN SQLSTATE = 'ML004' THEN SQLSTATE ELSE SQLSTATE || ': ' || SQLERRM END;
END
$$;
SELECT DISTINCT outcome COLLATE "C" AS outcome
  FROM fuzz_artifacts(ARRAY(SELECT mlops.bundle_send(bundle) FROM several ORDER BY n), 600, 3)
 WHERE outcome NOT IN ('a model', 'ML004');
-- with a checksum that fits, so that the artifact's reader meets the bytes too
CREATE OR REPLACE FUNCTION fuzz_read(bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    whole bytea;
BEGIN
    SELECT substr(b, 1, 16) || sha256(bytes) || substr(b, 49, 80) || bytes INTO whole
      FROM (SELECT mlops.bundle_send(bundle) AS b FROM several WHERE n = 2) AS q;
    PERFORM mlops_predict(whole::text::mlops.bundle, '{"a": 1, "b": 2, "plan": "pro", "town": "a town of a long enough name 1", "since": "2024-05-05"}');
    RETURN 'a model';
EXCEPTION WHEN OTHERS THEN
    RETURN CASE WHEN SQLSTATE = 'ML004' THEN SQLSTATE ELSE SQLSTATE || ': ' || SQLERRM END;
END
$$;
SELECT DISTINCT left(outcome, 5) COLLATE "C" AS outcome
  FROM fuzz_artifacts(ARRAY(SELECT substr(mlops.bundle_send(bundle), 129) FROM several ORDER BY n), 600, 4) ORDER BY 1;

SET client_min_messages = error;
DROP SCHEMA bundle CASCADE;
DROP ROLE regress_bundle_reader;
SELECT mlops_drop_model('line', force => true);
