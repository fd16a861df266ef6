-- Bad input gets a clear error and changes nothing: no version, no model. An
-- error in an argument is raised before a row is read; one in the data leaves
-- a failed run that says why.

CREATE SCHEMA train_errors_test;
SET search_path = train_errors_test;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE TABLE points AS
SELECT i::float8 AS x, i % 2 = 0 AS even, 2 * i + sin(i) AS y, 1.0::float8 AS one, (ARRAY['a', 'b', 'c'])[i % 3 + 1] AS three,
       NULL::float8 AS nothing, CASE WHEN i = 5 THEN 'NaN' WHEN i = 9 THEN 'Infinity' ELSE i::float8 END AS odd,
       i - 3 AS w, CASE WHEN i > 2 THEN 1 END AS v, '{}'::jsonb AS j, md5(i::text) AS code, interval '1 day' AS span
  FROM generate_series(1, 100) AS i;

-- the model
CALL mlops_train(NULL, 'points', 'y');
CALL mlops_train('bad/1', 'points', 'y');
CALL mlops_train('', 'points', 'y');

-- the source
CALL mlops_train('bad', NULL, 'y');
CALL mlops_train('bad', ' ', 'y');
CALL mlops_train('bad', 'nothing_here', 'y');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('bad', 'SELECT x, y FROM points WHERE', 'y');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('bad', 'SELECT 1; SELECT 2', 'y');
CALL mlops_train('bad', 'DELETE FROM points', 'y');
CALL mlops_train('bad', 'WITH gone AS (DELETE FROM points RETURNING *) SELECT * FROM gone', 'y');
CREATE FUNCTION spoil() RETURNS int LANGUAGE sql AS 'DELETE FROM points; SELECT 1';
CALL mlops_train('bad', 'SELECT x, y, spoil() FROM points', 'y');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('bad', 'SELECT x, y, y FROM points', 'y');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('bad', 'SELECT x, y FROM points WHERE false', 'y');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('bad', 'SELECT x / 0 AS x, y FROM points', 'y');

-- the target
CALL mlops_train('bad', 'SELECT x, y FROM points');
CALL mlops_train('bad', 'SELECT x, y FROM points', 'z');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('bad', 'SELECT x, one FROM points', 'one', holdout => 0);
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('bad', 'SELECT x, true AS b FROM points', 'b', holdout => 0);
CALL mlops_train('bad', 'SELECT x, nothing FROM points', 'nothing');
CALL mlops_train('bad', $$SELECT x, 'value ' || x || i AS many FROM points, generate_series(1, 2) AS i$$, 'many');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('bad', 'SELECT x, span FROM points', 'span');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('bad', 'SELECT x, odd FROM points', 'odd');
CALL mlops_train('bad', 'SELECT x, three FROM points', 'three', algorithm => 'linear_regression');

-- the features
CALL mlops_train('bad', 'SELECT odd, y FROM points', 'y');
CALL mlops_train('bad', 'SELECT one, y FROM points', 'y', holdout => 0);
CALL mlops_train('bad', 'SELECT y FROM points', 'y');
CALL mlops_train('bad', 'SELECT x, j, y FROM points', 'y', features => '{x, j}');
CALL mlops_train('bad', 'SELECT x, j, y FROM points', 'y');
CALL mlops_train('bad', 'SELECT code, y FROM points', 'y', holdout => 0);
CALL mlops_train('bad', 'SELECT x, y FROM points', 'y', features => '{x, z}');
CALL mlops_train('bad', 'SELECT x, y FROM points', 'y', features => '{x, y}');
CALL mlops_train('bad', 'SELECT x, y FROM points', 'y', features => '{x, NULL}');
CALL mlops_train('bad', 'SELECT x, y FROM points', 'y', exclude => '{z}');
CALL mlops_train('bad', 'SELECT x, x * x AS x2, sqrt(x) AS x3, ln(x) AS x4, sin(x) AS x5, y FROM points LIMIT 4', 'y', holdout => 0);
\echo :LAST_ERROR_SQLSTATE

-- the weight
CALL mlops_train('bad', 'SELECT x, w, y FROM points', 'y', weight => 'w');
CALL mlops_train('bad', 'SELECT x, v, y FROM points', 'y', weight => 'v');
CALL mlops_train('bad', 'SELECT x, three, y FROM points', 'y', weight => 'three');
CALL mlops_train('bad', 'points', 'y', weight => 'y');

-- classes that a line separates have no maximum of likelihood
CALL mlops_train('bad', 'SELECT x, x > 50 AS b FROM points', 'b', holdout => 0);
\echo :LAST_ERROR_SQLSTATE

-- more memory than allowed
SET mlops.max_training_memory = '1MB';
\set VERBOSITY terse
CALL mlops_train('bad', 'SELECT i::float8 AS x, i * 2.0::float8 AS y FROM generate_series(1, 1000000) AS i', 'y',
                 options => '{"engine": "memory"}');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
RESET mlops.max_training_memory;

-- a read-only transaction
BEGIN READ ONLY;
SELECT mlops_train_now('bad', 'SELECT x, y FROM points', 'y');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

-- after all this there is no model, and every failed run says why
SELECT count(*) AS models FROM mlops.model WHERE model = 'bad';
SELECT (SELECT count(*) FROM points) AS points;
SELECT mlops_train_now('bad', 'SELECT x, y FROM points', 'y') AS first_version;
SELECT status, count(*) > 20 AS many, count(sqlstate) = count(*) AND count(message) = count(*) AS with_reason
  FROM mlops.run WHERE model = 'bad' AND status <> 'finished' GROUP BY status;

-- what the types of the columns rule out is refused before a row is read:
-- reading the first row of this view divides by zero
CREATE VIEW unreadable AS SELECT 1 / (i - i) AS x, i * 2.0 AS y, i > 5 AS even, i::text AS three FROM generate_series(1, 10) AS i;
CALL mlops_train('unread', 'unreadable', 'y');
CALL mlops_train('unread', 'unreadable', 'y', params => '{"l3": 1}');
CALL mlops_train('unread', 'unreadable', 'y', params => '{"max_iterations": 1}');
CALL mlops_train('unread', 'unreadable', 'three', algorithm => 'linear_regression');
CALL mlops_train('unread', 'unreadable', 'y', features => '{z}');
CALL mlops_train('unread', 'unreadable', 'y', features => '{}');
CALL mlops_train('bad', 'SELECT x, even AS y FROM unreadable');

-- and a model keeps its target and its task
CALL mlops_train('bad', 'SELECT x, even FROM points', 'even');
CALL mlops_train('bad', 'SELECT x, even AS y FROM points');
SELECT count(*) AS versions FROM mlops.version WHERE model = 'bad';

-- as long as it has versions: without any, it can be given another target
SELECT mlops_set_model('bad', '{"target": "even"}');
SELECT mlops_drop_version('bad', 1);
CALL mlops_train('bad', 'SELECT x, even FROM points', 'even');
SELECT mlops_set_model('bad', '{"target": "even"}');
SELECT target, task, metric FROM mlops.model WHERE model = 'bad';
SELECT mlops_train_now('bad', 'SELECT x, even FROM points') AS second_version;
SELECT target, task, metric FROM mlops.model WHERE model = 'bad';

-- a number of two values is a regression, and so is the model; there is a way back
CALL mlops_train('coin', 'SELECT x, even::int AS y FROM points', 'y', holdout => 0);
CALL mlops_train('coin', 'SELECT x, even::int AS y FROM points', 'y', holdout => 0);
SELECT mlops_drop_model('coin');
CALL mlops_train('coin', 'SELECT x, even::int AS y FROM points', 'y', holdout => 0, algorithm => 'logistic_regression');
SELECT mlops_drop_model('coin');

SELECT count(mlops_drop_model(m, force => true)::text) AS dropped FROM unnest(ARRAY['bad']) AS m;
DROP SCHEMA train_errors_test CASCADE;
