-- calibration => platt | isotonic corrects the probabilities of any classifier
-- by what it says of rows that it was not fitted on: the training rows in parts,
-- each predicted by a model of the others. The hold-out stays untouched, so that
-- it shows what the correction is worth.

CREATE SCHEMA calibration_test;
SET search_path = calibration_test;
SET client_min_messages = warning;

-- labels are half chance: a network that is left to learn them by heart is too sure of itself
CREATE TABLE noisy AS
SELECT i AS id, sin(i * 0.7) AS a, cos(i * 1.3) AS b, sin(i * 2.1) AS c,
       (SELECT array_agg((hashint8(i * 20 + k) & 1023) / 512.0 - 1.0 ORDER BY k)::float8[] FROM generate_series(1, 12) AS k) AS noise,
       (hashint8(i) & 1023) / 1024.0 < 1 / (1 + exp(-2 * sin(i * 0.7) - cos(i * 1.3))) AS y
  FROM generate_series(1, 1500) AS i;
CREATE FUNCTION train(model text, source text, calibration text) RETURNS int LANGUAGE sql AS
$$ SELECT mlops_train_now(model, source, 'y', algorithm => 'mlp', exclude => '{id}',
                          params => jsonb_build_object('calibration', calibration, 'hidden', 32, 'learning_rate', 0.01,
                                                       'l2', 0, 'validation_share', 0, 'max_epochs', 60)) $$;
SELECT train('sure', 'noisy', 'none') AS raw, train('sure', 'noisy', 'platt') AS platt, train('sure', 'noisy', 'isotonic') AS isotonic;
CREATE VIEW held_out AS
SELECT version, params ->> 'calibration' AS calibration, (holdout_metrics ->> 'log_loss')::float8 AS log_loss,
       (holdout_metrics ->> 'brier')::float8 AS brier, (holdout_metrics ->> 'roc_auc')::float8 AS roc_auc, facts
  FROM mlops.version WHERE model = 'sure';
SELECT c.calibration, c.log_loss < 0.95 * r.log_loss AS less_log_loss, c.brier < 0.95 * r.brier AS less_brier, abs(c.roc_auc - r.roc_auc) < 0.01 AS ranks_alike
  FROM held_out AS c, held_out AS r WHERE r.version = 1 AND c.version > 1 ORDER BY c.version;

-- a sigmoid that is flatter than the network's own; ranks stay as they are
SELECT (p.facts ->> 'calibration_slope')::float8 BETWEEN 0.1 AND 0.9 AS flatter, abs(p.roc_auc / r.roc_auc - 1) < 1e-12 AS same_ranks
  FROM held_out AS p, held_out AS r WHERE p.version = 2 AND r.version = 1;
SELECT (facts ->> 'calibration_points')::int BETWEEN 3 AND 200 AS points FROM held_out WHERE version = 3;
SELECT every(p > 0 AND p < 1) AS never_certain, count(DISTINCT p) > 20 AS many_values
  FROM (SELECT mlops_predict('sure/3', n) AS p FROM noisy AS n) AS s;

-- what is well calibrated stays about as it is: a logistic regression of the true model
CALL mlops_train('right', 'noisy', 'y', exclude => '{id,noise}', params => '{"calibration": "platt"}');
SELECT abs((facts ->> 'calibration_slope')::float8 - 1) < 0.1 AS slope_of_one, abs((facts ->> 'calibration_shift')::float8) < 0.1 AS no_shift
  FROM mlops.version WHERE model = 'right';
SELECT bool_and(abs(mlops_predict('right/1', n) - 1 / (1 + exp(-2 * a - b))) < 0.1) AS about_the_truth FROM noisy AS n;

-- several classes: a map each, and probabilities that sum to 1
CREATE VIEW three AS SELECT id, a, b, c, noise, CASE WHEN y THEN 'yes' WHEN c > 0.3 THEN 'perhaps' ELSE 'no' END AS y FROM noisy;
SELECT train('three', 'three', 'none') AS raw, train('three', 'three', 'platt') AS platt, train('three', 'three', 'isotonic') AS isotonic;
SELECT c.params ->> 'calibration' AS calibration, (c.holdout_metrics ->> 'log_loss')::float8 < 0.95 * (r.holdout_metrics ->> 'log_loss')::float8 AS less_log_loss
  FROM mlops.version AS c JOIN mlops.version AS r USING (model) WHERE model = 'three' AND r.version = 1 AND c.version > 1 ORDER BY c.version;
SELECT bool_and(abs(sum - 1) < 1e-12) AS sum_is_one
  FROM (SELECT (SELECT sum(p.value::text::float8) FROM jsonb_each(mlops_predict_proba('three/3', t)) AS p) AS sum FROM three AS t LIMIT 100) AS s;

-- a share of the classes that weights have moved is put right again
CALL mlops_train('moved', 'noisy', 'y', exclude => '{id}', holdout => 0, params => '{"class_weights": {"true": 20}}');
CALL mlops_train('moved', 'noisy', exclude => '{id}', holdout => 0, params => '{"class_weights": {"true": 20}, "calibration": "platt"}');
SELECT version, abs(avg(mlops_predict('moved/' || version, n)) - avg(y::int)) < 0.01 AS share_is_right
  FROM noisy AS n, generate_series(1, 2) AS version GROUP BY version ORDER BY version;

-- the same rows give the same bytes
CREATE TABLE turned AS SELECT * FROM noisy ORDER BY b;
SELECT train('sure', 'turned', 'isotonic');
SELECT count(DISTINCT sha256) AS artifacts FROM mlops.version WHERE model = 'sure' AND version IN (3, 4);

-- refused: numbers, and a class that only one part has
CALL mlops_train('refused', 'noisy', 'a', algorithm => 'mlp', exclude => '{id,y}', params => '{"calibration": "platt"}');
CALL mlops_train('refused', 'noisy', 'y', exclude => '{id}', params => '{"calibration": "beta"}');
CALL mlops_train('refused', 'noisy', 'y', exclude => '{id}', params => '{"calibration": "platt", "calibration_folds": 1}');
CALL mlops_train('refused', 'SELECT a, b, id = 7 AS y FROM noisy', 'y', params => '{"calibration": "platt"}', holdout => 0);

SELECT count(mlops_drop_model(m, force => true)::text) AS dropped FROM unnest(ARRAY['sure', 'right', 'three', 'moved']) AS m;
DROP SCHEMA calibration_test CASCADE;
