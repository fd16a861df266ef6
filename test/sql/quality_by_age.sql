-- mlops_quality_by_age(): how the primary metric falls with the age of a version, so that the interval of a
-- retraining policy rests on evidence: from the log and its outcomes, of each version and of all together, and
-- from evaluations on editions of validation sets. Times are given, so that none depends on the clock.

CREATE SCHEMA quality_by_age_test;
SET search_path = quality_by_age_test;
SET TimeZone = 'UTC';
SET IntervalStyle = 'postgres';
\set SHOW_CONTEXT never
SET client_min_messages = error;

CREATE TABLE visit AS SELECT i AS id, i % 7 AS pages, timestamptz '2026-01-01' + i * interval '1 hour' AS at, (i * 5 % 13 + i % 7) > 8 AS bought FROM generate_series(0, 24 * 90 - 1) AS i;
SELECT mlops_create_model('ageing', target => 'bought', metric => 'accuracy');
SELECT mlops_train_now('ageing', 'visit', 'bought', features => '{pages}', params => '{"l2": 1}', options => '{"row_fingerprints": "none"}') AS version
  FROM generate_series(1, 2);
UPDATE mlops_catalog.model SET created_at = '2026-01-01' WHERE name = 'ageing';

-- 100 calls in each of three weeks: version 1 is right in 90, 85 and 60 of them, version 2 in 88 and 80
CREATE TABLE week (version int, number int, good int);
INSERT INTO week VALUES (1, 0, 90), (1, 1, 85), (1, 2, 60), (2, 0, 88), (2, 1, 80);
CREATE VIEW call AS
SELECT version, number, i, format('%s/%s/%s', version, number, i) AS key, i <= good AS good,
       timestamptz '2026-01-01' + (30 * (version - 1) + 7 * number) * interval '1 day' + i * interval '1 hour' AS at
  FROM week, generate_series(1, 100) AS i;
INSERT INTO mlops_catalog.prediction (at, model, version, role, deployment, key, prediction, label)
SELECT at, 'ageing', version, 'active', version, key, 0.9, 'true' FROM call;
SELECT count(mlops_record_outcome('ageing', key, good::text, at + interval '1 hour')) FROM call;
-- calls by number served nobody
INSERT INTO mlops_catalog.prediction (at, model, version, role, key, prediction, label)
VALUES ('2026-01-02', 'ageing', 1, 'pinned', 'p', 0.9, 'true');
SELECT mlops_record_outcome('ageing', 'p', 'false', '2026-01-03');

-- the age of a version counts from its training, here from its first call; version NULL: all together
SELECT version, age_from, age_until, value, n, round(fall::numeric, 3) AS fall FROM mlops_quality_by_age('ageing', as_of => '2026-03-01');
-- shares have Wilson's interval; that of the fall adds up their errors: 0.9 to 0.6 is a fall of 0.185 to 0.415 (about 1.96 x
-- sqrt(0.9 x 0.1 / 100 + 0.6 x 0.4 / 100) = 0.113 to either side), 0.9 to 0.85 may be none
SELECT age_from, fall_low > 0 AS falls, abs(fall_low - 0.187) < 0.01 AS low, abs(fall_high - 0.413) < 0.01 AS high
  FROM mlops_quality_by_age('ageing', as_of => '2026-03-01') WHERE version = 1 AND fall IS NOT NULL;
-- the age at which a fall is first beyond doubt is what an interval can be set to
SELECT min(age_from) FROM mlops_quality_by_age('ageing', as_of => '2026-03-01') WHERE version IS NULL AND fall_low > 0;
-- other stretches; what came true later does not count
SELECT version, age_from, age_until, value, n FROM mlops_quality_by_age('ageing', every => '14 days', as_of => '2026-01-29') WHERE version IS NOT NULL;
SELECT version, age_from, n FROM mlops_quality_by_age('ageing', as_of => '2026-01-09 02:00') WHERE version IS NOT NULL;

-- a retraining of the past says when its version was made
INSERT INTO mlops_catalog.retraining (model, number, why, as_of, status, version, requested_by) VALUES ('ageing', 1, 'a replay', '2026-01-24', 'promoted', 2, 'me');
SELECT version, age_from, value, n FROM mlops_quality_by_age('ageing', as_of => '2026-03-01') WHERE version = 2;
DELETE FROM mlops_catalog.retraining WHERE model = 'ageing';

-- where there is no log: what versions were evaluated at on editions of validation sets, the newest of each stretch
SELECT mlops_create_validation_set('ageing', 'days', 'visit', key => 'id', time_column => 'at', period => '10 days');
SELECT edition FROM (VALUES (timestamptz '2026-01-20'), ('2026-01-23'), ('2026-02-02')) AS m (at), mlops_refresh_validation_set('ageing', 'days', at) AS r;
SELECT count(*) FROM generate_series(1, 3) AS e, mlops_evaluate('ageing/1', 'days', e, metrics => '{accuracy}');
SELECT q.version, q.validation_set, q.age_from, q.n, q.value = e.value AS as_evaluated, abs(q.fall - (f.value - e.value)) < 1e-12 AS fall
  FROM mlops_quality_by_age('ageing', as_of => '2026-03-01') AS q
  JOIN mlops.evaluation AS e ON e.model = 'ageing' AND e.edition = CASE q.age_from WHEN '0 days' THEN 2 ELSE 3 END AND e.slice = ''
  JOIN mlops.evaluation AS f ON f.model = 'ageing' AND f.edition = 2 AND f.slice = ''
 WHERE q.validation_set IS NOT NULL;

-- errors: lower is better, so a rise is the fall
SELECT mlops_create_model('ageing_number', target => 'pages', metric => 'mae');
SELECT mlops_train_now('ageing_number', 'visit', 'pages', features => '{id}') AS version;
UPDATE mlops_catalog.model SET created_at = '2026-01-01' WHERE name = 'ageing_number';
INSERT INTO mlops_catalog.prediction (at, model, version, role, deployment, key, prediction)
SELECT timestamptz '2026-01-01' + (7 * w) * interval '1 day' + i * interval '1 hour', 'ageing_number', 1, 'active', 1, w || '/' || i, 0 FROM generate_series(0, 1) AS w, generate_series(1, 20) AS i;
SELECT count(mlops_record_outcome('ageing_number', w || '/' || i, (1 + w + i % 2)::text, '2026-02-01')) FROM generate_series(0, 1) AS w, generate_series(1, 20) AS i;
SELECT age_from, metric, value, n, fall FROM mlops_quality_by_age('ageing_number', as_of => '2026-03-01') WHERE version = 1;

-- What is refused
SELECT * FROM mlops_quality_by_age('aging');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM mlops_quality_by_age('ageing', every => '0 days');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM mlops_quality_by_age('ageing', every => '1 second');
SELECT * FROM mlops_quality_by_age('ageing', period => '-1 day');
SELECT * FROM mlops_quality_by_age('ageing', as_of => '-infinity');
SELECT count(*) FROM mlops_quality_by_age('ageing', as_of => '2001-01-01');

SELECT mlops_drop_model('ageing'), mlops_drop_model('ageing_number');
DROP SCHEMA quality_by_age_test CASCADE;
