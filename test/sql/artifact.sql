-- The artifact is the bytes that score. They are documented (docs/formats.md),
-- stored in parts and named by their SHA-256, which is compared whenever they
-- are loaded. The reader does not rely on that: whatever the bytes, it returns
-- a model or raises ML004 and says what it found, where, and what it expected.

CREATE SCHEMA artifact_test;
SET search_path = artifact_test;

-- An artifact of format 1, kept here for ever: every later version of mlops
-- must read it. A logistic regression on a number with missing values and a
-- category of two levels.
CREATE TABLE golden AS SELECT decode(translate('
    894d4c4f0d0a1a0a01000000090000001603000000000000484541441f00000000000000130000006c6f6769737469635f72656772657373
    696f6e04000000555446385243504522000000000000000001006400000000000000050000000000000003000000474d543c000000000000
    00464541546800000000000000020000000600000074656e75726510000000646f75626c6520707265636973696f6e0104000000706c616e
    0400000074657874020000000000000000000000000000000002000000000000000000e03f050000006261736963000000000000e03f0300
    000070726f4e554d423e00000000000000010000000600000074656e7572652ebae8a28b6e3e402ebae8a28b6e3e403546b995a0ed314000
    0000000000d03f0000000000a04d40555555555555b53f54415247390000000000000007000000636875726e656404000000746578740201
    00000002000000bcbbbbbbbbbbdb3f020000006e6f222222222222e23f030000007965734453474e17000000000000000300000000000000
    000100000000020100000001000000505245442b000000000000000101044bb18c0dd2ca3f00030000006c1e0c9131f0573fa3a235f35230
    c33fc0a5434067d76f3f00000000535441546500000000000000010000007a9611d547a8f9e23fb34aea217d9dd63f90ac5cdc8129e73fba
    9e9183a8108f3fa2657669a0a8b83f48a887f9608bed3ff7fa740ce988ee3f19412ef4091cc43f4c4a04d25201ec3ffb7140ba40b6e03f7c
    889da9277c7e3f3b7f4a7c5acfef3f46414354cb00000000000000080000000e0000006c6f675f6c696b656c69686f6f64505b4cfeb58444
    c0130000006e756c6c5f6c6f675f6c696b656c69686f6f64de918763e68644c00800000064657669616e6365505b4cfeb58454400d000000
    6e756c6c5f64657669616e6365de918763e6865440120000006d6366616464656e5f725f737175617265640000c482eb4c3b3f0a00000069
    7465726174696f6e73000000000000084003000000616963505b4cfeb584564012000000646567726565735f6f665f66726565646f6d0000
    000000004c40
', E' \n', ''), 'hex') AS bytes;

SELECT mlops.artifact_check(bytes) FROM golden;

-- writes bytes over the golden artifact, counted from the tag of a section
CREATE FUNCTION patched(tag bytea, at int, patch bytea) RETURNS bytea LANGUAGE sql AS $$
    SELECT overlay(bytes PLACING patch FROM position(tag IN bytes) + at) FROM golden
$$;

-- ---- refused ----

-- foreign bytes
SELECT mlops.artifact_check('');
SELECT mlops.artifact_check('\x89504e470d0a1a0a0000000d494844520000001000000010');
\echo :LAST_ERROR_SQLSTATE

-- a format of the future
SELECT mlops.artifact_check(overlay(bytes PLACING '\x63000000' FROM 9)) FROM golden;

-- truncated, oversized
SELECT mlops.artifact_check(substr(bytes, 1, 300)) FROM golden;
SELECT mlops.artifact_check(bytes || '\x00') FROM golden;

-- a count that promises more than there are bytes, a length beyond the section
SELECT mlops.artifact_check(patched('FEAT', 12, '\xffffffff'));
SELECT mlops.artifact_check(patched('FEAT', 16, '\xffffff7f'));

-- numbers that mean nothing: an infinite coefficient, a share above 1
SELECT mlops.artifact_check(patched('PRED', 27, '\x000000000000f07f'));
SELECT mlops.artifact_check(patched('TARG', 40, '\x0000000000000040'));

-- text that is none, an unknown encoding
SELECT mlops.artifact_check(patched('FEAT', 20, '\x00'));
SELECT mlops.artifact_check(overlay(bytes PLACING '\x58' FROM position('UTF8'::bytea IN bytes))) FROM golden;

-- levels in another order would meet the wrong coefficients, and so would a
-- design that is not the one that the recipe makes
SELECT mlops.artifact_check(overlay(bytes PLACING 'zasic'::bytea FROM position('basic'::bytea IN bytes))) FROM golden;
SELECT mlops.artifact_check(patched('DSGN', 21, '\x00'));

-- ---- changed at random: a model or ML004, and nothing else ----

\set ECHO none
\i test/fuzz/mutate.sql
\set ECHO all

-- every single bit of it
SELECT DISTINCT outcome FROM golden, generate_series(0, length(bytes)::bigint * 8 - 1) AS i,
       fuzz_read(set_bit(bytes, i, 1 - get_bit(bytes, i))) AS outcome
 ORDER BY outcome COLLATE "C";

-- artifacts of several kinds, changed in nine ways
CREATE TABLE facts AS
SELECT i AS id, i % 17 AS amount, CASE WHEN i % 9 <> 0 THEN i * 5 % 23 END AS visits,
       (ARRAY['north', 'east', 'south', 'west'])[i * 7 % 11 % 4 + 1] AS region,
       timestamptz '2025-01-01 00:00+00' + i * interval '5 hours' AS at,
       ARRAY[i % 3, i % 5]::float8[] AS vector, i * 13 % 29 < 12 AS bought
  FROM generate_series(1, 300) AS i;
SET client_min_messages = error;
SELECT mlops_train_now('artifact_bought', 'facts', 'bought', exclude => '{id}',
                       params => '{"missing_indicator": true, "l2": 0.5}') AS version;
SELECT mlops_train_now('artifact_amount', 'facts', 'amount', exclude => '{id}', params => '{"impute": "drop"}') AS version;
SELECT mlops_train_now('artifact_region', 'facts', 'region', algorithm => 'baseline', exclude => '{id}') AS version;
SELECT mlops_train_now('artifact_region', 'facts', 'region', algorithm => 'baseline', features => '{visits}', holdout => 0) AS version;
RESET client_min_messages;

SELECT outcome, n > 500 AS often
  FROM fuzz_artifacts(ARRAY(SELECT string_agg(data, '' ORDER BY part) FROM mlops_catalog.artifact
                             WHERE model LIKE 'artifact_%' GROUP BY model, version ORDER BY model, version),
                      rounds => 10000, seed => 1)
 ORDER BY outcome COLLATE "C";

-- ---- stored: parts, checksum, mlops_verify() ----

SELECT v.artifact_format, v.sha256 = sha256(a.bytes) AS named_by_its_checksum,
       v.artifact_size = length(a.bytes) AS size_is_right
  FROM mlops.version AS v,
       LATERAL (SELECT string_agg(data, '' ORDER BY part) AS bytes FROM mlops_catalog.artifact
                 WHERE model = v.model AND version = v.version) AS a
 WHERE v.model = 'artifact_region' AND v.version = 1;

-- what a failing disk might do; scoring notices, and mlops_verify() tells all of it
BEGIN;
UPDATE mlops_catalog.artifact SET data = set_bit(data, 1000, 1 - get_bit(data, 1000)) WHERE model = 'artifact_region' AND version = 1;
DELETE FROM mlops_catalog.artifact WHERE model = 'artifact_bought';
SELECT model, version, ok, regexp_replace(problem, '[0-9a-f]{64}', 'X', 'g') AS problem
  FROM mlops_verify() WHERE model LIKE 'artifact_%' ORDER BY 1, 2;
\set VERBOSITY terse
SELECT mlops_predict_label('artifact_region/1', '{"visits": 3}'::jsonb);
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
ROLLBACK;
SELECT model, version, ok, problem FROM mlops_verify() WHERE model LIKE 'artifact_%' ORDER BY 1, 2;
SELECT mlops_predict_label('artifact_region/2', '{"visits": 3}'::jsonb) IS NOT NULL AS scores;

-- the artifact of format 1, stored as a version, scores what it always scored
BEGIN;
INSERT INTO mlops_catalog.model (name, owner) SELECT 'artifact_golden', owner FROM mlops_catalog.model WHERE name = 'artifact_bought';
INSERT INTO mlops_catalog.version
SELECT (jsonb_populate_record(v, jsonb_build_object('model', 'artifact_golden', 'version', 1, 'sha256', sha256(bytes)))).*
  FROM golden, mlops_catalog.version AS v WHERE v.model = 'artifact_bought';
INSERT INTO mlops_catalog.artifact SELECT 'artifact_golden', 1, 0, bytes FROM golden;
SELECT input, abs(mlops_predict('artifact_golden/1', input) - 1 / (1 + exp(-eta))) < 1e-12 AS as_always
  FROM (VALUES ('{"tenure": 12, "plan": "basic"}'::jsonb, 0.20953530664208853 + 12 * 0.0014610752152196772),
               ('{"tenure": -3, "plan": "pro"}', 0.20953530664208853 - 3 * 0.0014610752152196772 + 0.0038868919965479864),
               -- a missing number is 30.432, the mean, and says so
               ('{"tenure": null, "plan": "pro"}', 0.20953530664208853 + 30.43181818181818 * 0.0014610752152196772 + 0.14991223216499802 + 0.0038868919965479864),
               -- a plan that training never saw: half of its rows had pro
               ('{"tenure": 0, "plan": "free"}', 0.20953530664208853 + 0.5 * 0.0038868919965479864)) AS v (input, eta);
ROLLBACK;

-- ---- who may ----

-- anybody may verify what they may read; reading any bytes is not for everybody
CREATE ROLE regress_ml_artifact;
SET ROLE regress_ml_artifact;
SELECT count(*) FROM mlops_verify();
SELECT mlops.artifact_check('\x00');
SELECT mlops.artifact_verify('artifact_region/1');
RESET ROLE;

-- an owner who is gone is reported: the model can only be looked after by a superuser
BEGIN;
UPDATE mlops_catalog.model SET owner = 'regress_ml_gone' WHERE name = 'artifact_amount';
SELECT * FROM mlops_verify() WHERE model = 'artifact_amount';
ROLLBACK;

DROP ROLE regress_ml_artifact;
SELECT mlops_drop_model('artifact_bought'), mlops_drop_model('artifact_amount'), mlops_drop_model('artifact_region');
SET client_min_messages = warning;
DROP SCHEMA artifact_test CASCADE;
