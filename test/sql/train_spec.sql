-- A spec is the JSON that fully says how a version was trained, settings of
-- the session included. mlops_train_spec trains from one; mlops_retrain takes
-- that of the active or a named version, changed, on the data of today.

CREATE SCHEMA train_spec_test;
SET search_path = train_spec_test;
SET client_min_messages = warning;
CREATE TABLE points AS
SELECT i::float8 AS x, i % 10 AS z, 2 * i + 10 * sin(i) AS y FROM generate_series(1, 200) AS i;

CALL mlops_train_spec('spec', '{"source": "points", "target": "y", "params": {"l2": 0.1}, "holdout": 0.25, "seed": 7}', 'from a file');
SELECT algorithm, params ->> 'l2' AS l2, split ->> 'holdout' AS holdout, seed, note FROM mlops.version WHERE model = 'spec';

-- the spec of a version trains the same version again
SELECT spec AS spec_json FROM mlops.version WHERE model = 'spec' \gset
SET search_path = pg_catalog;
CALL mlops_train_spec('spec', :'spec_json');
SET search_path = train_spec_test;
SELECT count(DISTINCT sha256) AS different FROM mlops.version WHERE model = 'spec';

-- changes replace keys; params and options are merged; null removes
CALL mlops_retrain('spec/1', '{"params": {"intercept": false}, "exclude": ["z"], "seed": null, "options": {"scratch": true}}', 'no intercept');
SELECT params ->> 'l2' AS l2, params ->> 'intercept' AS intercept, spec ->> 'exclude' AS exclude, seed, scratch, note
  FROM mlops.version WHERE model = 'spec' AND version = 3;

-- another algorithm starts from its own defaults
CALL mlops_retrain('spec/1', '{"algorithm": "baseline", "params": {"impute": "median"}}');
SELECT algorithm, params FROM mlops.version WHERE model = 'spec' AND version = 4;

-- without a number: the active version
CALL mlops_retrain('spec');
SELECT version FROM mlops_promote('spec', 1);
INSERT INTO points VALUES (1000, 1, 2000);
CALL mlops_retrain('spec');
SELECT rows_read, seed FROM mlops.version WHERE model = 'spec' ORDER BY version DESC LIMIT 1;

-- the settings that a spec names hold while its source is read, not longer
SET DateStyle = 'ISO, MDY';
CALL mlops_train_spec('dated', '{"source": "SELECT x, (''02/01/2025''::date - ''2025-01-01'')::float8 AS y FROM points UNION ALL SELECT 0, 0",
                             "target": "y", "algorithm": "baseline", "holdout": 0, "settings": {"datestyle": "ISO, DMY", "search_path": "train_spec_test"}}');
SELECT abs(estimate - 201.0 / 202) < 1e-9 AS read_as_the_second_of_january FROM mlops_coefficients('dated/1') WHERE term = '(intercept)';
SHOW DateStyle;

-- every seed that an argument takes can be read back from a spec
CALL mlops_train('spec', 'points', seed => 9223372036854775807);
CALL mlops_retrain('spec/6');
SELECT seed FROM mlops.version WHERE model = 'spec' ORDER BY version DESC LIMIT 1;

-- refused
CALL mlops_train_spec('spec', '{"sorce": "points"}');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train_spec('spec', '{"source": "points", "settings": {"work_mem": "1GB"}}');
CALL mlops_train_spec('spec', '{"source": "points", "settings": {"TimeZone": "Nowhere/At_All"}}');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train_spec('spec', '{"source": "points", "settings": {"extra_float_digits": "many"}}');
CALL mlops_train_spec('spec', '{"source": "points", "engine": "sql"}');
CALL mlops_train_spec('spec', '{"source": "points", "options": {"engine": "spark"}}');
CALL mlops_train_spec('spec', '{"source": 7}');
CALL mlops_train_spec('spec', '{"source": "points", "features": ["x", 1]}');
CALL mlops_train_spec('spec', '{"source": "points", "seed": 1e30}');
CALL mlops_train_spec('spec', '{"source": "points", "seed": 0.5}');
CALL mlops_train_spec('spec', '{"source": "points", "holdout": "0.2"}');
CALL mlops_train_spec('spec', '{"source": "points", "params": []}');
CALL mlops_train_spec('spec', '[]');
CALL mlops_train_spec('spec', NULL);
CREATE ROLE regress_ml_cy;
GRANT USAGE ON SCHEMA train_spec_test TO regress_ml_cy;
SET ROLE regress_ml_cy;
CALL mlops_train_spec('spec', '{"source": "points", "author": "somebody"}');
RESET ROLE;
CALL mlops_train_spec('spec', '{}');
CALL mlops_retrain('spec', '7');
CALL mlops_retrain('spec', '{"author": "somebody"}');
CALL mlops_retrain('spec', '{"params": 7}');
CALL mlops_retrain('spec/99');

SELECT count(mlops_drop_model(m, force => true)::text) AS dropped FROM unnest(ARRAY['spec', 'dated']) AS m;
DROP SCHEMA train_spec_test CASCADE;
DROP ROLE regress_ml_cy;
