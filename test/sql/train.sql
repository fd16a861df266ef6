-- CALL mlops_train turns a table or a query into a version of a model. The
-- task and the algorithm follow from the target's type; a share of the rows is
-- held out and measured beside a constant predictor; everything that made the
-- version is kept with it. The same rows give the same bytes, in whatever
-- order they are stored. Training never changes what serves.

CREATE SCHEMA train_test;
SET search_path = train_test;
SET client_min_messages = warning;

-- y = 3 + 2 x1 - x2 + noise; b tells whether y is above its middle
CREATE TABLE points AS
SELECT i AS id, (i * 37 % 101)::float8 AS x1, (i * 53 % 89)::float8 AS x2,
       (ARRAY['red', 'green', 'blue'])[i % 3 + 1] AS colour,
       3 + 2 * (i * 37 % 101) - (i * 53 % 89) + sin(i) AS y,
       3 + 2 * (i * 37 % 101) - (i * 53 % 89) + 40 * sin(i) > 59 AS b
  FROM generate_series(1, 1000) AS i;

-- a number is a regression, a boolean a classification
CALL mlops_train('line', 'points', target => 'y', exclude => '{id, b}', note => 'the first');
CALL mlops_train('above', 'points', target => 'b', exclude => '{id, y}');
SELECT model, version, algorithm, task, target, rows_read, rows_used,
       rows_training + rows_holdout = rows_used AS adds_up, note
  FROM mlops.version WHERE model IN ('above', 'line') ORDER BY model;

-- the noise is small: the model is found, and beats the constant by far
SELECT term, abs(estimate - expected) < 0.01 AS found
  FROM (VALUES ('x1', 2.0), ('x2', -1.0)) AS e (term, expected) JOIN mlops_coefficients('line/1') USING (term);
SELECT model,
       CASE model WHEN 'line' THEN (holdout_metrics ->> 'r2')::float8 > 0.99
            ELSE (holdout_metrics ->> 'roc_auc')::float8 > 0.9 END AS good,
       CASE model WHEN 'line' THEN (baseline_metrics ->> 'r2')::float8 < 0.01
            ELSE (baseline_metrics ->> 'roc_auc')::float8 = 0.5 END AS constant_is_not
  FROM mlops.version WHERE model IN ('above', 'line') ORDER BY model;

-- what made the version
SELECT jsonb_pretty(columns) FROM mlops.version WHERE model = 'line';
SELECT jsonb_pretty(spec - 'settings') FROM mlops.version WHERE model = 'line';
SELECT split, rows_skipped, warnings, row_security FROM mlops.version WHERE model = 'line';
SELECT (SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys(durations) k) AS durations,
       (SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys(builds) k) AS builds,
       length(data_fingerprint) AS data, length(schema_fingerprint) AS schema, length(sha256) AS sha256
  FROM mlops.version WHERE model = 'line';

-- every attempt is a run
SELECT model, status, version, phase FROM mlops.run WHERE model IN ('above', 'line') ORDER BY model;

-- the target is the model's from now on
CALL mlops_train('line', 'SELECT x1, y FROM points');

-- in a transaction: seen at commit, gone at rollback, number and all
BEGIN;
SELECT mlops_train_now('line', 'SELECT x2, y FROM points') AS version;
ROLLBACK;
SELECT mlops_train_now('line', 'SELECT x2, y FROM points') AS version;

-- a procedure called in a block or in PL/pgSQL
BEGIN;
CALL mlops_train('line', 'SELECT x2, y FROM points');
COMMIT;
DO $$
DECLARE
    number int;
BEGIN
    CALL mlops_train('line', 'SELECT x2, y FROM points', version => number);
    RAISE WARNING 'version %', number;
END $$;

-- nothing of this serves: that is promotion's business
SELECT count(*) AS serving FROM mlops.serving WHERE model = 'line';

-- the same rows stored in another order give the same bytes
CREATE TABLE shuffled AS SELECT * FROM points ORDER BY md5(id::text);
CALL mlops_train('line', 'shuffled', exclude => '{id, b}');
SELECT a.sha256 = b.sha256 AS same_bytes, a.data_fingerprint = b.data_fingerprint AS same_rows
  FROM mlops.version a, mlops.version b
 WHERE a.model = 'line' AND a.version = 1 AND b.model = 'line' AND b.version = 6;

-- without canonical order they need not, but the rows are known to be the same
CALL mlops_train('line', 'shuffled', exclude => '{id, b}', options => '{"canonical_order": false}');
SELECT a.data_fingerprint = b.data_fingerprint AS same_rows,
       abs((a.facts ->> 'r_squared')::float8 - (b.facts ->> 'r_squared')::float8) < 1e-9 AS same_fit
  FROM mlops.version a, mlops.version b
 WHERE a.model = 'line' AND a.version = 1 AND b.model = 'line' AND b.version = 7;

-- a row of weight 2 counts as two rows; weight 0 leaves it out
CREATE TABLE weighted AS SELECT x1, x2, y, id % 3 AS w FROM points;
SELECT mlops_train_now('by_weight', 'weighted', 'y', weight => 'w', holdout => 0);
SELECT mlops_train_now('by_copies', 'SELECT x1, x2, y FROM weighted, generate_series(1, w)', 'y', holdout => 0);
SELECT term, abs(a.estimate - b.estimate) < 1e-9 AS same
  FROM mlops_coefficients('by_weight/1') a JOIN mlops_coefficients('by_copies/1') b USING (term) ORDER BY term COLLATE "C";
SELECT rows_used, rows_skipped FROM mlops.version WHERE model = 'by_weight';

-- refit: measured on the held-out rows, then fitted on all
SELECT mlops_train_now('refit', 'points', 'y', exclude => '{id, b}', options => '{"refit": true}');
SELECT mlops_train_now('whole', 'points', 'y', exclude => '{id, b}', holdout => 0);
SELECT r.sha256 = w.sha256 AS fitted_on_all, r.holdout_metrics = l.holdout_metrics AS measured_before,
       w.holdout_metrics IS NULL AS nothing_held_out
  FROM mlops.version r, mlops.version w, mlops.version l
 WHERE r.model = 'refit' AND w.model = 'whole' AND l.model = 'line' AND l.version = 1;

-- scratch versions prune themselves, the oldest first
SET mlops.scratch_keep = 2;
SELECT mlops_train_now('tries', 'points', 'y', exclude => '{id, b}', options => '{"scratch": true}')
  FROM generate_series(1, 4);
SELECT array_agg(version ORDER BY version) AS kept FROM mlops.version WHERE model = 'tries';

-- names are compared exactly, whatever is in them
CREATE TABLE "Größen" AS SELECT x1 AS "Länge in cm", x2 AS "a""b", y AS "日本" FROM points;
SELECT mlops_train_now('Grüße', '"Größen"', '日本') AS version;
SELECT term FROM mlops_coefficients('Grüße/1') ORDER BY term COLLATE "C";

SELECT count(mlops_drop_model(m, force => true)::text) AS dropped FROM unnest(ARRAY['line', 'above', 'by_weight', 'by_copies', 'refit', 'whole', 'tries', 'Grüße']) AS m;
DROP SCHEMA train_test CASCADE;
