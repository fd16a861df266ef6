-- A shadow never disturbs an answer: whatever it cannot do becomes a status in the
-- log. Setting one is refused where it could show nothing, and comparing it by
-- outcomes where these are not what they would have been under it.

CREATE SCHEMA shadow_errors_test;
GRANT USAGE, CREATE ON SCHEMA shadow_errors_test TO PUBLIC;
SET search_path = shadow_errors_test;
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE TABLE loan AS
SELECT i AS id, i::float8 AS amount, (i % 3)::text AS kind, date '2026-01-01' + i AS day, ARRAY[i, i % 5]::float8[] AS place, i % 4 < 2 AS paid
  FROM generate_series(1, 60) AS i;
GRANT SELECT ON loan TO PUBLIC;
SELECT mlops_train_now('shy', 'SELECT amount, paid FROM loan', 'paid', algorithm => 'baseline') AS version;
SELECT mlops_train_now('shy', 'SELECT amount, kind, paid FROM loan', 'paid', algorithm => 'baseline') AS version;
SELECT mlops_train_now('shy', 'SELECT amount, day, paid FROM loan', 'paid', algorithm => 'baseline') AS version;
SELECT mlops_train_now('shy', 'SELECT amount, place, paid FROM loan', 'paid', algorithm => 'baseline') AS version;
SELECT mlops_train_now('shy', 'SELECT amount AS other, paid FROM loan', 'paid', algorithm => 'baseline') AS version;
SELECT mlops_train_now('shy', 'SELECT amount, amount / 2 AS half, paid FROM loan', 'paid', algorithm => 'decision_tree') AS version;
SELECT (mlops_promote('shy', 1)).version;
SELECT mlops_set_model('shy', '{"log_sample": 1}');
RESET client_min_messages;

-- what cannot be a shadow
SELECT mlops_shadow('shy', 1);
SELECT mlops_shadow('shy', 77);
SELECT mlops_shadow('nobody', 1);
SELECT mlops_shadow(NULL, 1);
SELECT mlops_shadow('shy', NULL, name => 'x');
SELECT mlops_shadow('shy', 2, share => 0);
SELECT mlops_shadow('shy', 2, share => 1.5);
SELECT mlops_shadow('shy', 2, share => 'NaN');
SELECT mlops_shadow('shy', 2, name => '');
SELECT mlops_shadow('shy', 2, name => 'a/b');
SELECT mlops_shadow('shy', 2, name => repeat('n', 57));
SELECT mlops_shadow('shy', 2, acknowledge => '');
-- nothing of it is there
SELECT count(*) FROM mlops.shadow WHERE model = 'shy';
SELECT mlops_shadow('shy', 2, enabled => false);
SELECT mlops_shadow('shy', NULL, name => 'x', enabled => false);

-- a reference to one that is not there
SELECT mlops_shadow('shy', 2, name => 'second');
SELECT mlops_predict('shy@shadow.secont', l) FROM loan AS l LIMIT 1;
SELECT mlops_predict('shy@shadow.', l) FROM loan AS l LIMIT 1;
SELECT mlops_set_alias('shy', 'shadow.second', 1);

-- a version that is one cannot be dropped
SELECT mlops_drop_version('shy', 2);

-- 16 is the most that a model can have
SELECT mlops_shadow('shy', 2, name => 's' || n) FROM generate_series(1, 16) AS n;
SELECT count(*) FROM mlops.shadow WHERE model = 'shy';

-- where the log is not on, that is said
SET client_min_messages = notice;
SELECT mlops_set_model('shy', '{"log_sample": null}');
SELECT mlops_shadow('shy', 2, name => 'second');
SELECT mlops_set_model('shy', '{"log_sample": 0}');
SELECT mlops_shadow('shy', 2, name => 'second');
SELECT mlops_set_model('shy', '{"log_sample": 0.05}');
SELECT mlops_shadow('shy', 2, name => 'second');
SELECT mlops_set_model('shy', '{"log_sample": 1}');

-- Rows that suit the active version and not the shadows: each says why not, and every row is answered
SELECT count(mlops_shadow('shy', n, share => 1)) FROM generate_series(2, 6) AS n;
SELECT mlops_shadow('shy', NULL, name => 'second', enabled => false);
SELECT count(*), count(prediction) AS answered FROM mlops_score('shy', 'SELECT id, amount FROM loan', 'id');
SELECT s.key AS shadow, s.value AS said, count(*) FROM mlops.prediction AS l, jsonb_each(l.shadows) AS s WHERE model = 'shy' GROUP BY 1, 2 ORDER BY 1;
CREATE TABLE until AS SELECT max(at) AS at FROM mlops.prediction;
-- wrong types, of which one would need a cast function: none is called for a shadow
SET client_min_messages = error;
CREATE TYPE spot;
CREATE FUNCTION spot_in(cstring) RETURNS spot AS 'int4in' LANGUAGE internal IMMUTABLE STRICT;
CREATE FUNCTION spot_out(spot) RETURNS cstring AS 'int4out' LANGUAGE internal IMMUTABLE STRICT;
CREATE TYPE spot (input = spot_in, output = spot_out, passedbyvalue, internallength = 4, alignment = int4);
CREATE FUNCTION spot_numbers(spot) RETURNS float8[] LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'called'; END $$;
CREATE CAST (spot AS float8[]) WITH FUNCTION spot_numbers(spot);
RESET client_min_messages;
SELECT count(*), count(prediction) AS answered
  FROM mlops_score('shy', $$SELECT id, amount, 7::float8 AS kind, 'no day'::text AS day, '5'::spot AS place, 'x'::text AS other, 1 AS half FROM loan$$, 'id');
SELECT s.key AS shadow, s.value ->> 'status' AS status, count(*) FROM mlops.prediction AS l, jsonb_each(l.shadows) AS s
 WHERE model = 'shy' AND at > (SELECT at FROM until) GROUP BY 1, 2 ORDER BY 1;
SELECT mlops_predict('shy/4', t) FROM (SELECT 1.0::float8 AS amount, '5'::spot AS place) AS t;
-- nor where all roles are asked in the open
SELECT a.role, a.prediction IS NULL AS none
  FROM (SELECT 1.0::float8 AS amount, '5'::spot AS place, 1 AS half) AS t, mlops_predict_all('shy', t) AS a ORDER BY a.role;
-- arrays of another length
UPDATE until SET at = clock_timestamp();
SELECT count(*), count(prediction) AS answered FROM mlops_score('shy', $$SELECT id, amount, CASE WHEN id <= 20 THEN '{1}'::float8[] ELSE place END AS place FROM loan$$, 'id');
SELECT s.value ->> 'status' AS status, count(*) FROM mlops.prediction AS l, jsonb_each(l.shadows) AS s
 WHERE model = 'shy' AND at > (SELECT at FROM until) AND s.key = '4' GROUP BY 1 ORDER BY 1;

-- an artifact that cannot be read, by a session that has not read it before
\c -
SET search_path = shadow_errors_test;
\set SHOW_CONTEXT never
BEGIN;
UPDATE mlops_catalog.artifact SET data = set_byte(data, 40, 255 - get_byte(data, 40)) WHERE model = 'shy' AND version = 6;
DELETE FROM mlops_catalog.artifact WHERE model = 'shy' AND version = 2;
UPDATE until SET at = clock_timestamp();
SELECT a.role, count(a.prediction) AS predicted FROM loan AS l, mlops_predict_all('shy', jsonb_build_object('amount', amount, 'half', amount, 'kind', kind)) AS a WHERE id <= 3 GROUP BY a.role ORDER BY a.role;
SELECT count(*), count(prediction) AS answered FROM mlops_score('shy', 'SELECT id, amount, amount AS half, kind FROM loan', 'id');
SELECT s.key AS shadow, s.value ->> 'status' AS status, count(*) FROM mlops.prediction AS l, jsonb_each(l.shadows) AS s
 WHERE model = 'shy' AND at > (SELECT at FROM until) AND s.key IN ('2', '6') GROUP BY 1, 2 ORDER BY 1;
ROLLBACK;
\c -
SET search_path = shadow_errors_test;
\set SHOW_CONTEXT never

-- the report counts them by status
SELECT shadow, ok, failed, skipped, statuses FROM mlops_shadow_report('shy', as_of => clock_timestamp()) ORDER BY shadow;

-- Where predictions influence their own outcomes, these are not what they would have been under the shadow: a loan
-- that the active version refuses is never paid back. The comparison is refused until somebody says why it is meaningful
SELECT count(*), count(prediction) AS answered FROM mlops_score('shy', 'SELECT id, amount, amount / 2 AS half, place FROM loan', 'id');
SELECT count(mlops_record_outcome('shy', id::text, paid::text, clock_timestamp())) FROM loan;
SELECT mlops_set_model('shy', '{"feedback_loop": "perhaps"}');
SELECT mlops_set_model('shy', '{"feedback_loop": true}');
SELECT mlops_shadow('shy', 6, share => 1);
SELECT * FROM mlops_compare_live('shy', '6', as_of => clock_timestamp());
SELECT metric, n > 0 AS compared FROM mlops_compare_live('shy', '6', as_of => clock_timestamp(), acknowledge => 'every loan was granted in the trial');
SELECT metric, n > 0 AS compared FROM mlops_compare_live('shy', '6', as_of => clock_timestamp());
SELECT event, version, reason, caused_by = current_user AS by_me FROM mlops.shadow_event WHERE model = 'shy' AND event = 'acknowledged';
-- of another version nobody has said it; it can be said when the shadow is set
SELECT * FROM mlops_compare_live('shy', '4', as_of => clock_timestamp());
SELECT mlops_shadow('shy', 4, share => 1, acknowledge => 'the same trial');
SELECT metric, n > 0 AS compared FROM mlops_compare_live('shy', '4', as_of => clock_timestamp());
SELECT mlops_set_model('shy', '{"feedback_loop": null}');

-- what cannot be compared
SELECT * FROM mlops_compare_live('shy', 'thing', as_of => clock_timestamp());
SELECT * FROM mlops_compare_live('shy', '1', as_of => clock_timestamp());
SELECT * FROM mlops_compare_live('shy', '6', metrics => '{accurracy}');
SELECT * FROM mlops_compare_live('shy', '6', period => '-1 day');
SELECT * FROM mlops_compare_live('shy', '6', label_delay => '-1 day');
SELECT * FROM mlops_compare_live('shy', '6', as_of => 'infinity');
SELECT * FROM mlops_compare_live('shy', '6', champion => 77);
SELECT * FROM mlops_shadow_report('shy', period => '0');
SELECT * FROM mlops_shadow_report('shi');

-- Privileges: promote sets, read looks; predict is served with shadows, sees which there are, and nothing of what they say
CREATE ROLE mlops_shadow_other;
SELECT mlops_grant('shy', 'mlops_shadow_other', 'predict');
SET ROLE mlops_shadow_other;
SELECT mlops_shadow('shy', 6);
SELECT mlops_shadow('shy', 6, enabled => false);
SELECT count(*), count(prediction) AS answered FROM mlops_score('shy', 'SELECT id, amount, amount AS half FROM loan', 'id');
SELECT (SELECT count(*) FROM mlops.shadow) AS shadows, (SELECT count(*) FROM mlops.shadow_event) AS events,
       (SELECT count(*) FROM mlops.shadow_cost) AS costs, (SELECT count(*) FROM mlops.prediction) AS predictions;
SELECT * FROM mlops_shadow_report('shy');
SELECT * FROM mlops_compare_live('shy', '6');
SELECT 1 FROM mlops_catalog.shadow;
RESET ROLE;
SELECT mlops_grant('shy', 'mlops_shadow_other', 'read');
SELECT mlops_set_model('shy', '{"feedback_loop": true}');
SET ROLE mlops_shadow_other;
SELECT count(*) FROM mlops_shadow_report('shy', as_of => clock_timestamp());
-- who only reads can compare what was acknowledged, and acknowledge nothing
SELECT metric FROM mlops_compare_live('shy', '6', as_of => clock_timestamp());
SELECT metric FROM mlops_compare_live('shy', '3', as_of => clock_timestamp(), acknowledge => 'me');
RESET ROLE;

SET client_min_messages = error;
SELECT mlops_drop_model('shy', force => true);
DROP SCHEMA shadow_errors_test CASCADE;
DROP ROLE mlops_shadow_other;
