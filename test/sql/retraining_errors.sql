-- What mlops_set_retraining() and its siblings refuse, and what they say to do instead.

CREATE SCHEMA retraining_errors_test;
SET search_path = retraining_errors_test;
SET TimeZone = 'UTC';
\set SHOW_CONTEXT never
SET client_min_messages = warning;

CREATE TABLE visit AS SELECT i AS id, i % 7 AS pages, timestamptz '2026-01-01' + i * interval '1 hour' AS at, (i * 5 % 13 + i % 7) > 8 AS bought FROM generate_series(1, 200) AS i;
SELECT mlops_train_now('again', 'visit', 'bought', features => '{pages}', params => '{"l2": 1}') AS version;

-- before anything serves, what the changes say is all that can be looked at
SELECT mlops_set_retraining('again', every => '1 day', changes => '{"sauce": "visit"}');
SELECT mlops_set_retraining('again', every => '1 day');
-- a tick waits for something to serve
CALL mlops_tick('2030-01-01');
SELECT count(*) FROM mlops.retraining;
SELECT version FROM mlops_promote('again', 1);

-- arguments
SELECT mlops_set_retraining(NULL);
SELECT mlops_set_retraining('agian');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_set_retraining('again', every => '0 days');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_set_retraining('again', every => '-1 month');
SELECT mlops_set_retraining('again', pause => '-1 day');
SELECT mlops_set_retraining('again', pause => NULL);
SELECT mlops_set_retraining('again', label_delay => '-1 day');
SELECT mlops_set_retraining('again', live_period => '0');
SELECT mlops_set_retraining('again', new_labels => 0);
SELECT mlops_set_retraining('again', min_rows => -5);
SELECT mlops_set_retraining('again', drop => 0);
SELECT mlops_set_retraining('again', drop => 'NaN');
-- roc_auc is between 0 and 1: what it cannot lose would never be a reason
SELECT mlops_set_retraining('again', drop => 2);
SELECT mlops_set_retraining('again', drop => 1);
-- lengths of time have an end
SELECT mlops_set_retraining('again', period => '178000000 years', time_column => 'at');
SELECT mlops_set_retraining('again', label_delay => '2147483647 days', time_column => 'at');
SELECT mlops_set_retraining('again', as_of => 'infinity');
SELECT mlops_set_retraining('again', period => '30 days', time_column => 'at', as_of => '4713-01-02 BC');
SELECT mlops_set_retraining('again', changes => '[1]');

-- the changes are those of CALL mlops_retrain, tried on the spec of the active version
SELECT mlops_set_retraining('again', changes => '{"author": "somebody"}');
SELECT mlops_set_retraining('again', changes => '{"algorithm": "logistic_progression"}');
SELECT mlops_set_retraining('again', changes => '{"target": "pages"}');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_set_retraining('again', changes => '{"source": "DROP TABLE visit"}');

-- a window needs a time
SELECT mlops_set_retraining('again', period => '30 days');
SELECT mlops_set_retraining('again', period => '30 days', time_column => 'when');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_set_retraining('again', period => '30 days', time_column => 'day', changes => '{"source": "SELECT *, at::text AS day FROM visit"}');
\echo :LAST_ERROR_SQLSTATE
-- an integer is a time if its unit is given, and only then is there a unit to give
SELECT mlops_set_retraining('again', period => '30 days', time_column => 'id');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_set_retraining('again', period => '30 days', time_column => 'id', time_unit => '1 month');
SELECT mlops_set_retraining('again', period => '30 days', time_column => 'id', time_unit => '0');
SELECT mlops_set_retraining('again', period => '30 days', time_column => 'id', time_unit => '1 hour', time_origin => 'infinity');
SELECT mlops_set_retraining('again', period => '30 days', time_column => 'at', time_unit => '1 hour');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_set_retraining('again', every => '1 day', time_unit => '1 hour');
SELECT mlops_set_retraining('again', period => '30 days', time_column => 'at', changes => '{"since": "2026-01-01"}');
SELECT mlops_set_retraining('again', time_column => 'at', changes => '{"time_column": "id"}');

-- since and until of a spec, given by hand
DO $$
DECLARE
	number int;
BEGIN
	CALL mlops_train_spec('again', '{"source": "visit", "target": "bought", "since": "2026-01-03"}', version => number);
END$$;
DO $$
DECLARE
	number int;
BEGIN
	CALL mlops_train_spec('again', '{"source": "visit", "target": "bought", "time_column": "at", "since": "2026-01-05", "until": "2026-01-03"}', version => number);
END$$;
DO $$
DECLARE
	number int;
BEGIN
	CALL mlops_train_spec('again', '{"source": "visit", "target": "bought", "time_column": "at", "since": "soon"}', version => number);
END$$;
-- integers are taken from number to number, times from moment to moment
DO $$
DECLARE
	number int;
BEGIN
	CALL mlops_train_spec('again', '{"source": "visit", "target": "bought", "time_column": "id", "since": "2026-01-05"}', version => number);
END$$;
DO $$
DECLARE
	number int;
BEGIN
	CALL mlops_train_spec('again', '{"source": "visit", "target": "bought", "time_column": "at", "until": 100}', version => number);
END$$;
DO $$
DECLARE
	number int;
BEGIN
	CALL mlops_train_spec('again', '{"source": "visit", "target": "bought", "time_column": "id", "since": 20, "until": "2026-01-05"}', version => number);
END$$;
DO $$
DECLARE
	number int;
BEGIN
	CALL mlops_train_spec('again', '{"source": "visit", "target": "bought", "time_column": "id", "since": 20, "until": 20}', version => number);
END$$;
DO $$
DECLARE
	number int;
BEGIN
	CALL mlops_train_spec('again', '{"source": "visit", "target": "bought", "time_column": "id", "since": 1.5}', version => number);
END$$;
DO $$
DECLARE
	number int;
BEGIN
	CALL mlops_train_spec('again', '{"target": "bought", "source": "SELECT *, at::text AS day FROM visit", "time_column": "day", "since": 1}', version => number);
END$$;
CALL mlops_train_spec('again', '{"source": "visit", "target": "bought", "features": ["pages"], "params": {"l2": 1}, "time_column": "at", "since": "2026-01-03", "until": "2026-01-05"}');
SELECT rows_read, time_from, time_to FROM mlops.version WHERE model = 'again' AND version = 2;

-- dates and times without zone are moments of the time zone of the spec: midnight of the 5th is before noon of it
CREATE VIEW by_day AS SELECT pages, bought, at::date AS day, at::timestamp AS local FROM visit;
CALL mlops_train_spec('again', '{"source": "by_day", "target": "bought", "features": ["pages"], "params": {"l2": 1}, "time_column": "day", "since": "2026-01-03", "until": "2026-01-05 12:00"}');
SET TimeZone = 'Asia/Tokyo';
CALL mlops_train_spec('again', '{"source": "by_day", "target": "bought", "features": ["pages"], "params": {"l2": 1}, "time_column": "local", "since": "2026-01-03 00:00+00", "until": "2026-01-04 00:00+00"}');
SET TimeZone = 'UTC';
SELECT version, rows_read, time_from, time_to, spec #>> '{settings,TimeZone}' AS zone FROM mlops.version WHERE model = 'again' AND version > 2 ORDER BY version;
CALL mlops_reproduce('again/4');

-- nothing to drop, nothing to ask for
SELECT mlops_drop_retraining('again');
SELECT mlops_drop_retraining('again');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_request_retraining('again');
\echo :LAST_ERROR_SQLSTATE

-- privileges: train for a policy, promote for one that promotes
CREATE ROLE regress_ml_again;
GRANT USAGE ON SCHEMA retraining_errors_test TO regress_ml_again;
GRANT SELECT ON visit TO regress_ml_again;
SELECT mlops_grant('again', 'regress_ml_again', 'read');
SET ROLE regress_ml_again;
SELECT mlops_set_retraining('again', every => '1 day');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_request_retraining('again');
SELECT mlops_drop_retraining('again');
RESET ROLE;
SELECT mlops_grant('again', 'regress_ml_again', 'train');
SET ROLE regress_ml_again;
SELECT mlops_set_retraining('again', every => '1 day', promote => true);
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT mlops_grant('again', 'regress_ml_again', 'promote');
SET ROLE regress_ml_again;
-- without gates there is nothing to pass
SET client_min_messages = notice;
SELECT mlops_set_retraining('again', every => '1 day', promote => true, as_of => '2026-01-01');
SET client_min_messages = warning;
RESET ROLE;
-- and the promotion is the author's too
SELECT mlops_revoke('again', 'regress_ml_again', 'promote');
\set VERBOSITY terse
CALL mlops_tick('2026-02-01');
\set VERBOSITY default
SELECT status, version, sqlstate, message FROM mlops.retraining;
-- the tables are nobody's
SET ROLE regress_ml_again;
INSERT INTO mlops_catalog.retraining DEFAULT VALUES;
RESET ROLE;

BEGIN READ ONLY;
SELECT mlops_set_retraining('again');
ROLLBACK;

SELECT mlops_drop_model('again', force => true);
DROP SCHEMA retraining_errors_test CASCADE;
DROP ROLE regress_ml_again;
