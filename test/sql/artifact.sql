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

-- One of format 2, likewise: two boosted trees on such columns, calibrated.
CREATE TABLE golden_2 AS SELECT decode(translate('
    894d4c4f0d0a1a0a0200000009000000f003000000000000484541441d00000000000000110000006772616469656e745f626f6f7374696e
    6704000000555446385243504527000000000000000000006400000000000000050000000000000003000000474d542201000000000000ff
    ffffff00464541547800000000000000020000000600000074656e75726510000000646f75626c6520707265636973696f6e010400000070
    6c616e04000000746578740200000000000000000000000000000000030000000b5a7da9a0d5d73f05000000626173696341ab2f15b4fad2
    3f0300000070726fb4fa5241ab2fd53f040000007465616d4e554d423e00000000000000010000000600000074656e757265aef00aaff00a
    3e40aef00aaff00a3e401836521cce483140000000000000f03f0000000000804d40d2798b219db7c83f5441524739000000000000000700
    0000636875726e65640400000074657874020100000002000000c4018f3f1cf0d83f020000006e6f1e7f38e0f187e33f0300000079657344
    53474e1b00000000000000030000000000000000020100000001000000020100000002000000505245446c01000000000000020101000000
    0000476eeee383b8dc3f020000000e0000000000000007000000010000000400000000000000002072402700d2a0dbcc5340000000000000
    000000000010400000000000005840909e2fff2c68074000000000000000000000c0424000000000004068405317cb472e575340ffffffff
    137a433be43188bf0000000000001440ffffffff362d09e1900ee93f0000000000c05640ffffffff3ebbbf9402c3eebf0000000000005a40
    ffffffff686633134418d43f00000000008056400000000007000000010000001e0000000000000000207240740f1360db88424000000000
    0100000000008039400000000000c06640a276c35bbf7d2c40000000000100000000004047400000000000005b40afa7f2382aa33e40ffff
    ffffc5bb34d92c46b53f0000000000805b40ffffffffef68e857a5e8e63f0000000000005240ffffffffd4d7c07af747e7bf0000000000c0
    5440ffffffffdbf018175351e13f000000000000394043414c49110000000000000001137a8c27f9a4f33f20631fe86844aabf46414354a1
    000000000000000700000005000000747265657300000000000000400500000064657074680000000000000040060000006c656176657300
    000000000020400a000000626573745f726f756e6400000000000000400d000000747261696e696e675f6c6f73730037ece2204bd63f1100
    000063616c6962726174696f6e5f736c6f7065137a8c27f9a4f33f1100000063616c6962726174696f6e5f736869667420631fe86844aabf
', E' \n', ''), 'hex') AS bytes;

SELECT mlops.artifact_check(bytes) FROM golden_2;

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
SELECT outcome FROM golden, generate_series(0, length(bytes)::bigint * 8 - 1) AS i,
       fuzz_read(set_bit(bytes, i, 1 - get_bit(bytes, i))) AS outcome
 GROUP BY outcome ORDER BY outcome COLLATE "C";

SELECT outcome FROM golden_2, generate_series(0, length(bytes)::bigint * 8 - 1) AS i,
       fuzz_read(set_bit(bytes, i, 1 - get_bit(bytes, i))) AS outcome
 GROUP BY outcome ORDER BY outcome COLLATE "C";

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
SELECT mlops_train_now('artifact_forest', 'facts', 'region', algorithm => 'random_forest', exclude => '{id}', params => '{"trees": 3, "max_depth": 3}') AS version;
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
SELECT model, version, ok, regexp_replace(problem, '[0-9a-f]{64}|[0-9]+(?= bytes)', 'X', 'g') AS problem
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

-- and so does that of format 2
BEGIN;
INSERT INTO mlops_catalog.model (name, owner) SELECT 'artifact_golden', owner FROM mlops_catalog.model WHERE name = 'artifact_bought';
INSERT INTO mlops_catalog.version
SELECT (jsonb_populate_record(v, jsonb_build_object('model', 'artifact_golden', 'version', 2, 'artifact_format', 2, 'sha256', sha256(bytes)))).*
  FROM golden_2, mlops_catalog.version AS v WHERE v.model = 'artifact_bought';
INSERT INTO mlops_catalog.artifact SELECT 'artifact_golden', 2, 0, bytes FROM golden_2;
SELECT tree, node, condition, left_node, right_node, round(value::numeric, 12) AS value, cover FROM mlops_trees('artifact_golden/2');
SELECT input, abs(mlops_predict('artifact_golden/2', input) - 1 / (1 + exp(-(1.227776674735314 * (0.44876191386149283 + leaf_1 + leaf_2) + -0.05130317529228123)))) < 1e-12 AS as_always
  FROM (VALUES ('{"tenure": 3, "plan": "team"}'::jsonb, -0.011813910540181138, 0.0831020384109556),
               ('{"tenure": 25.5, "plan": "team"}', 0.7830280680877084, 0.7158991543722361),
               ('{"tenure": 50, "plan": "basic"}', 0.3139810740955, 0.5411773158189378),
               -- what is missing goes its own way in each tree, and so does a plan that training never saw
               ('{"tenure": null, "plan": "pro"}', 0.3139810740955, 0.0831020384109556),
               ('{"tenure": 1, "plan": "free"}', -0.9613049416783281, 0.0831020384109556)) AS v (input, leaf_1, leaf_2);
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
SELECT mlops_drop_model('artifact_bought'), mlops_drop_model('artifact_amount'), mlops_drop_model('artifact_region'), mlops_drop_model('artifact_forest');
SET client_min_messages = warning;
DROP SCHEMA artifact_test CASCADE;
