-- Serving statistics: calls of mlops_predict counted where they are made, by model, part
-- of the day, version and role. Only a server that preloads the library can count plain calls
-- (test/t/031_statistics.pl); here are what any server has: who switches it on,
-- how counts are read, who may, and what is refused.
SET client_min_messages = warning;
DROP TABLE IF EXISTS statistics_point;
CREATE TABLE statistics_point AS SELECT i::float8 AS x, (ARRAY['a', 'b'])[1 + i % 2] AS p, i % 4 = 0 AS y FROM generate_series(1, 200) AS i;
CALL mlops_train('statistics_line', 'statistics_point', target => 'y', algorithm => 'logistic_regression', params => '{"l2": 1}', holdout => 0);
SELECT version FROM mlops_promote('statistics_line', 1);
RESET client_min_messages;

-- the owner of a model switches it on; it says true or false
SELECT mlops_set_model('statistics_line', '{"statistics": true}');
SELECT settings ->> 'statistics' FROM mlops.model WHERE model = 'statistics_line';
SELECT mlops_set_model('statistics_line', '{"statistics": 0.5}');
CREATE ROLE statistics_reader;
SET ROLE statistics_reader;
SELECT mlops_set_model('statistics_line', '{"statistics": true}');
RESET ROLE;

-- a server that does not preload the library counts nothing, and says so
SELECT count(mlops_predict('statistics_line', t)) FROM statistics_point AS t;
SELECT preloaded, calls, written, waiting, without_room, on_standby, without_model, unreachable, memory FROM mlops_counted();
SELECT mlops_flush_statistics();
SELECT count(*) FROM mlops_statistics('statistics_line');
SELECT statistics, log FROM mlops_status() WHERE model = 'statistics_line';
BEGIN;
SELECT mlops_set_model('statistics_line', '{"statistics": false}');
SELECT statistics FROM mlops_status() WHERE model = 'statistics_line';
SELECT mlops_set_model('statistics_line', '{"statistics": null}');
SELECT statistics FROM mlops_status() WHERE model = 'statistics_line';
ROLLBACK;

-- ---- reading ----

-- counts as a worker writes them: of two hours, a version that was trained on x from 1 to 200
INSERT INTO mlops_catalog.serving_statistics (model, since, version, role, rules, until, counted_at, rows, null_rows, label, label_rows,
       other_labels, rule_rows, rule_errors, check_rows, barred)
SELECT 'statistics_line', h, 1, 'active', 0, h + interval '1 hour', clock_timestamp(), 70, 6, '{false,true}', '{40,24}', 0, '{}', 0, '{}', 0
  FROM (VALUES ('2030-01-01 10:00+00'::timestamptz), ('2030-01-01 11:00+00')) AS v (h);
INSERT INTO mlops_catalog.serving_histogram (model, since, version, role, subject, feature, until, counted_at, kind, rows, missing, binned,
       bin_low, bin_high, bin_rows, level, level_rows, other_rows)
SELECT 'statistics_line', h, 1, 'active', 'feature', f, h + interval '1 hour', clock_timestamp(), k, 64, m, b, low, high, bins, level, levels, other
  FROM (VALUES ('2030-01-01 10:00+00'::timestamptz), ('2030-01-01 11:00+00')) AS v (h),
       (VALUES ('x', 'number', 0, 64, 1::float8, 200::float8, (SELECT array_agg(CASE WHEN i BETWEEN 1 AND 30 THEN 1 WHEN i = 0 THEN 30 WHEN i = 65 THEN 4 ELSE 0 END ORDER BY i)
                                        FROM generate_series(0, 65) AS i), NULL::text[], NULL::bigint[], NULL::bigint),
               ('p', 'category', 16, NULL, NULL, NULL, NULL, '{a,b}', '{24,12}', 12)) AS c (f, k, m, b, low, high, bins, level, levels, other);

-- a row for each role, version and feature: what was missing, and unseen in training (outside of its range, or
-- no level of it), as shares; the histogram has what is below, bins of equal width, what is above, or each
-- level and the rest
SELECT role, version, subject, feature, rows, missing, unseen, low, high, level, histogram
  FROM mlops_statistics('statistics_line', period => '1 day', bins => 8, as_of => '2030-01-01 12:00+00');
SELECT feature, rows, histogram FROM mlops_statistics('statistics_line', period => '1 hour', bins => 1, as_of => '2030-01-01 12:00+00');
SELECT histogram[2:31] = array_fill(2::bigint, '{30}') AS fine FROM mlops_statistics('statistics_line', bins => 64, as_of => '2030-01-01 12:00+00') WHERE feature = 'x';
-- windows are of whole parts of the day
SELECT rows FROM mlops_statistics('statistics_line', period => '1 minute', as_of => '2030-01-01 11:30+00') WHERE feature = 'x';
SELECT count(*) FROM mlops_statistics('statistics_line', period => '1 minute', as_of => '2030-01-01 12:30+00');

-- the views have what lies in the tables; counts are added up element by element
SELECT since AT TIME ZONE 'UTC' AS since, rows, null_rows, label, label_rows FROM mlops.serving_statistics WHERE model = 'statistics_line' ORDER BY since;
SELECT feature, sum(rows) AS rows, mlops.sum_counts(level_rows) AS level_rows FROM mlops.serving_histogram WHERE model = 'statistics_line' GROUP BY feature ORDER BY feature;
SELECT mlops.add_counts('{1,2,3}', '{10,20}'), mlops.add_counts('{}', '{7}'), mlops.sum_counts(a) FROM (VALUES ('{1,2}'::bigint[]), (NULL), ('{4}')) AS v (a);
SELECT mlops.add_counts('{9223372036854775807}', '{1}');
SELECT mlops.add_counts('{1,NULL}', '{1}');
SELECT mlops.add_counts('{{1,2},{3,4}}', '{1}');

-- ---- who may ----

SET ROLE statistics_reader;
SELECT count(*) FROM mlops.serving_statistics WHERE model = 'statistics_line';
SELECT count(*) FROM mlops.serving_histogram WHERE model = 'statistics_line';
SELECT * FROM mlops_statistics('statistics_line');
SELECT * FROM mlops_catalog.serving_histogram;
RESET ROLE;
SELECT mlops_grant('statistics_line', 'statistics_reader', 'read');
SET ROLE statistics_reader;
SELECT count(*) FROM mlops.serving_statistics WHERE model = 'statistics_line';
SELECT count(*) FROM mlops_statistics('statistics_line', as_of => '2030-01-01 12:00+00');
RESET ROLE;

-- ---- refused ----

SELECT * FROM mlops_statistics('statistics_lime');
SELECT * FROM mlops_statistics('statistics_line', bins => 10);
SELECT * FROM mlops_statistics('statistics_line', bins => 0);
SELECT * FROM mlops_statistics(NULL);
SELECT * FROM mlops_statistics('statistics_line', period => NULL);
BEGIN TRANSACTION READ ONLY;
SELECT mlops_flush_statistics();
ROLLBACK;

-- ---- what goes ----

-- old parts go with the tick of the extension's owner, by mlops.statistics_retention
SET client_min_messages = error;
BEGIN;
CALL mlops_tick();
SELECT count(*) FROM mlops.serving_statistics WHERE model = 'statistics_line';
-- by the clock: what is not old is not dropped because a tick says that it is later
CALL mlops_tick('2031-03-01');
SELECT count(*) FROM mlops.serving_statistics WHERE model = 'statistics_line';
UPDATE mlops_catalog.serving_statistics SET until = until - interval '20 years';
UPDATE mlops_catalog.serving_histogram SET until = until - interval '20 years';
CALL mlops_tick();
SELECT count(*) FROM mlops.serving_statistics WHERE model = 'statistics_line';
SELECT count(*) FROM mlops.serving_histogram WHERE model = 'statistics_line';
ROLLBACK;
RESET client_min_messages;
-- and all of them with their model
SELECT mlops_drop_model('statistics_line', force => true);
SELECT count(*) FROM mlops_catalog.serving_statistics WHERE model = 'statistics_line';
SELECT count(*) FROM mlops_catalog.serving_histogram WHERE model = 'statistics_line';
DROP ROLE statistics_reader;
DROP TABLE statistics_point;
