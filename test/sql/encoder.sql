-- An encoder is a version that transforms rows - a pca, the hidden layer of an
-- mlp - put in front of any learner by the parameter "encoder". What it makes of
-- a row is what the head learns from; at scoring time the raw row goes through
-- both in one call. The head keeps a copy of the encoder, pinned to a version,
-- which cannot be dropped while a head is there.

CREATE SCHEMA encoder_test;
SET search_path = encoder_test;
SET client_min_messages = warning;

CREATE TABLE customers AS
SELECT i AS id, sin(i * 0.3) AS a, cos(i * 0.7) AS b, sin(i * 1.1) * 3 AS c, 'plan ' || i % 4 AS plan, CASE WHEN i % 9 > 0 THEN i % 13 END AS d,
       date '2026-01-01' + i % 200 AS since, sin(i * 0.3) + (i % 4) / 2.0 + (hashint8(i) & 1023) / 600.0 > 1.6 AS leaves, 3 * sin(i * 0.3) + i % 4 AS spends
  FROM generate_series(1, 800) AS i;
CREATE VIEW described AS SELECT a, b, c, plan, d, since FROM customers;
CALL mlops_train('customer', 'described', algorithm => 'pca', params => '{"components": 9}');
SELECT (mlops_promote('customer', 1)).version AS promoted;

-- two heads on one encoder; a reference without number is pinned when the training begins
CALL mlops_train('churn', 'SELECT a, b, c, plan, d, since, leaves FROM customers', 'leaves', params => '{"encoder": "customer/1"}');
CALL mlops_train('spend', 'SELECT a, b, c, plan, d, since, spends FROM customers', 'spends', params => '{"encoder": "customer"}');
SELECT model, algorithm, params ->> 'encoder' AS encoder FROM mlops.version WHERE model IN ('churn', 'spend') ORDER BY model COLLATE "C";
SELECT (holdout_metrics ->> 'roc_auc')::float8 > 0.8 AS learned FROM mlops.version WHERE model = 'churn';
SELECT count(*) AS components, min(term COLLATE "C") AS first FROM mlops_coefficients('churn/1') WHERE term <> '(intercept)';

-- a row is scored as the head scores what the encoder makes of it: as a row, as JSON, whatever its order
CREATE FUNCTION by_hand(c described) RETURNS float8 LANGUAGE sql AS
$$ SELECT (SELECT estimate FROM mlops_coefficients('spend/1') WHERE term = '(intercept)') + sum(estimate * (mlops_transform('customer/1', c))[i])
     FROM generate_series(1, 9) AS i, mlops_coefficients('spend/1') WHERE term = 'customer ' || i $$;
SELECT bool_and(abs(mlops_predict('spend/1', r) - by_hand(r::described)) < 1e-9) AS row_is_right, bool_and(mlops_predict('spend/1', to_jsonb(r)) = mlops_predict('spend/1', r)) AS json_is_equal
  FROM (SELECT x.* FROM described AS x LIMIT 50) AS r;
WITH turned AS (SELECT since, d AS d, plan, c, b, a FROM described)
SELECT (SELECT sum(mlops_predict('churn/1', t)) FROM turned AS t) / (SELECT sum(mlops_predict('churn/1', r)) FROM described AS r) BETWEEN 1 - 1e-12 AND 1 + 1e-12 AS order_does_not_matter;

-- what training measured is what scoring gives: on all rows, read back
CALL mlops_train('spend', 'SELECT a, b, c, plan, d, since, spends FROM customers', holdout => 0, params => '{"encoder": "customer/1"}');
SELECT abs((SELECT sqrt(avg((mlops_predict('spend/2', r) - spends) ^ 2)) FROM customers AS r) / (training_metrics ->> 'rmse')::float8 - 1) < 1e-9 AS same_error
  FROM mlops.version WHERE model = 'spend' AND version = 2;

-- contributions are of components, and add up
SELECT count(*) AS rows, abs(sum(contribution) - mlops_predict('spend/1', (SELECT r FROM described AS r LIMIT 1))) < 1e-9 AS adds_up
  FROM mlops_explain('spend/1', (SELECT r FROM described AS r LIMIT 1));

-- permuting is done to the columns that users know
SELECT feature FROM mlops_permutation_importance('spend/2', 'customers') ORDER BY importance DESC LIMIT 2;
SELECT * FROM mlops_export('spend/1', 'json');

-- missing columns are refused as by any model, and NULL is the encoder's matter
SELECT mlops_predict('churn/1', '{"a": 1, "b": 2}');
SELECT mlops_predict('churn/1', '{"a": null, "b": null, "c": 1, "plan": "plan 9", "d": null, "since": null}') IS NOT NULL AS scored;
SELECT mlops_predict('churn/1', NULL::described) IS NULL AS null_row;

-- the hidden layer of a network as an encoder, learned with one target, in front of another; a calibrated head
CALL mlops_train('taste', 'SELECT a, b, c, plan, d, since, spends FROM customers', 'spends', algorithm => 'mlp', params => '{"hidden": [24, 6]}');
CALL mlops_train('churn', 'SELECT a, b, c, plan, d, since, leaves FROM customers', 'leaves', params => '{"encoder": "taste/1", "l2": 1, "calibration": "platt"}');
SELECT count(*) AS units FROM mlops_coefficients('churn/2') WHERE term LIKE 'taste %';
SELECT (holdout_metrics ->> 'roc_auc')::float8 > 0.9 AS learned FROM mlops.version WHERE model = 'churn' AND version = 2;
SELECT mlops_describe('churn/2') LIKE '%encoder taste/1 makes 6 numbers of them%' AS says_so;

-- the same rows, the same encoder, the same bytes; retraining keeps the pinned version
CALL mlops_train('churn', 'SELECT a, b, c, plan, d, since, leaves FROM customers ORDER BY b', 'leaves', params => '{"encoder": "customer/1"}');
SELECT count(DISTINCT sha256) AS artifacts FROM mlops.version WHERE model = 'churn' AND version IN (1, 3);
SELECT (mlops_promote('churn', 3)).version AS promoted;
CALL mlops_retrain('churn', '{"algorithm": "mlp", "params": {"max_epochs": 3}}');
SELECT algorithm, params ->> 'encoder' AS encoder FROM mlops.version WHERE model = 'churn' AND version = 4;

-- an encoder in use stays
SELECT mlops_drop_version('customer', 1);
SELECT mlops_drop_model('customer', force => true);
SELECT mlops_drop_model('taste');

-- refused: what does not transform, two in a row, the target as an input, columns that are not there
CALL mlops_train('refused', 'customers', 'spends', params => '{"encoder": "spend/1"}');
CALL mlops_train('space', 'described', algorithm => 'pca', params => '{"components": 2, "encoder": "customer/1"}');
CALL mlops_train('refused', 'customers', 'spends', params => '{"encoder": "space/1"}');
CALL mlops_train('refused', 'described', 'c', params => '{"encoder": "customer/1"}');
CALL mlops_train('refused', 'SELECT a, b, c, plan, since, spends FROM customers', 'spends', params => '{"encoder": "customer/1"}');
CALL mlops_train('refused', 'SELECT a, b, c, plan, d, since::text, spends FROM customers', 'spends', params => '{"encoder": "customer/1"}');
CALL mlops_train('refused', 'customers', 'spends', exclude => '{d}', params => '{"encoder": "customer/1"}');
CALL mlops_train('refused', 'customers', 'spends', params => '{"encoder": "nobody/1"}');
CALL mlops_train('refused', 'customers', 'spends', group_by => 'plan', params => '{"encoder": "customer/1"}');
CALL mlops_train('refused', 'customers', 'spends', algorithm => 'baseline', params => '{"encoder": "customer/1"}');

-- who may not read the encoder may not give it away in a head
CREATE ROLE regress_ml_encoder;
GRANT USAGE ON SCHEMA encoder_test TO regress_ml_encoder;
GRANT SELECT ON customers TO regress_ml_encoder;
GRANT CREATE ON SCHEMA mlops TO regress_ml_encoder;
SET ROLE regress_ml_encoder;
CALL mlops_train('refused', 'customers', 'spends', params => '{"encoder": "customer/1"}');
RESET ROLE;
REVOKE CREATE ON SCHEMA mlops FROM regress_ml_encoder;
DROP OWNED BY regress_ml_encoder;
DROP ROLE regress_ml_encoder;

-- no bytes crash the reader: an encoder behind an encoder, and any bit of the encoder's turned
CREATE TABLE head AS
SELECT string_agg(data, '' ORDER BY part) AS bytes FROM mlops_catalog.artifact WHERE model = 'churn' AND version = 1;
SELECT mlops.artifact_check(bytes) FROM head;
CREATE FUNCTION le64(n bigint) RETURNS bytea LANGUAGE sql AS
$$ SELECT string_agg(set_byte('\x00', 0, ((n >> (8 * i)) & 255)::int), '' ORDER BY i) FROM generate_series(0, 7) AS i $$;
CREATE FUNCTION with_encoder(head bytea, encoder bytea) RETURNS bytea LANGUAGE sql AS
$$ SELECT overlay(whole PLACING le64(length(whole)) FROM 17)
     FROM (SELECT substr(head, 1, position('ENCO'::bytea IN head) + 3) || le64(length(encoder)) || encoder AS whole) AS s $$;
SELECT mlops.artifact_check(with_encoder(bytes, substr(bytes, position('ENCO'::bytea IN bytes) + 12))) FROM head;
\set VERBOSITY terse
SELECT mlops.artifact_check(with_encoder(bytes, bytes)) FROM head;
SELECT mlops.artifact_check(with_encoder(bytes, '')) FROM head;
\set VERBOSITY default
CREATE FUNCTION outcome(artifact bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM mlops.artifact_check(artifact);
    RETURN 'read';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
SELECT DISTINCT outcome(set_bit(bytes, i, 1 - get_bit(bytes, i)))
  FROM head, generate_series((position('ENCO'::bytea IN bytes) - 200) * 8, length(bytes) * 8 - 1, 5) AS i ORDER BY 1;

-- heads first, then encoders
SELECT count(mlops_drop_model(m, force => true)::text) AS dropped FROM unnest(ARRAY['churn', 'spend', 'space']) AS m;
SELECT count(mlops_drop_model(m, force => true)::text) AS dropped FROM unnest(ARRAY['customer', 'taste']) AS m;
DROP SCHEMA encoder_test CASCADE;
