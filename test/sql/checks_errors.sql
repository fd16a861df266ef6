-- What is wrong with checks is said when they are made: which check, what was found, what to write instead.
CREATE SCHEMA ml_checks_errors;
SET search_path = ml_checks_errors;
\set SHOW_CONTEXT never
CREATE TABLE visit AS SELECT i AS n, i % 7 AS pages, i % 3 = 0 AS member, (ARRAY['a', 'b'])[1 + i % 2] AS page, date '2024-01-01' + i AS day, i * 5 % 13 > 5 AS bought
  FROM generate_series(1, 80) AS i;
SET client_min_messages = error;
SELECT mlops_train_now('buys', 'visit', 'bought') AS first, mlops_train_now('buys', 'visit', 'bought', exclude => '{page}') AS second,
       mlops_train_now('buys', 'SELECT n, pages::text AS pages, member, page, day, bought FROM visit', 'bought') AS third;
SELECT version FROM mlops_promote('buys', 1);
RESET client_min_messages;
CREATE FUNCTION make(checks jsonb) RETURNS int LANGUAGE sql AS $$ SELECT mlops_create_rules('buys', checks => checks) $$;

-- no list of checks
SELECT make('5');
SELECT make('{"name": "a", "check": "finite"}');
SELECT make('[]');
SELECT make('["a"]');
SELECT make((SELECT jsonb_agg(jsonb_build_object('name', i::text, 'check', 'finite')) FROM generate_series(1, 65) AS i));
-- neither rules nor checks
SELECT mlops_create_rules('buys');
-- names
SELECT make('[{"check": "finite"}]');
SELECT make('[{"name": "", "check": "finite"}]');
SELECT make('[{"name": 7, "check": "finite"}]');
SELECT make(jsonb_build_array(jsonb_build_object('name', repeat('x', 64), 'check', 'finite')));
SELECT make('[{"name": "a", "check": "finite"}, {"name": "a", "check": "type"}]');
-- kinds, severities, keys
SELECT make('[{"name": "a"}]');
SELECT make('[{"name": "a", "check": "missin", "column": "n"}]');
SELECT make('[{"name": "a", "check": 1}]');
SELECT make('[{"name": "a", "check": "finite", "severity": "hart"}]');
SELECT make('[{"name": "a", "check": "finite", "severity": "fatal"}]');
SELECT make('[{"name": "a", "check": "finite", "severity": "drift"}]');
SELECT make('[{"name": "a", "check": "missing_share", "column": "n", "high": 0.1, "severity": "hard"}]');
SELECT make('[{"name": "a", "check": "finite", "severty": "hard"}]');
SELECT make('[{"name": "a", "check": "finite", "reason": 1}]');
-- columns: of the model, once, of a type that the kind fits
SELECT make('[{"name": "a", "check": "missing", "column": "pagse"}]');
SELECT make('[{"name": "a", "check": "missing", "column": "zzzzzzzz"}]');
SELECT make('[{"name": "a", "check": "missing", "column": "bought"}]');
SELECT make('[{"name": "a", "check": "missing", "columns": ["n", "pages", "n"]}]');
SELECT make('[{"name": "a", "check": "missing", "column": "n", "columns": ["n"]}]');
SELECT make('[{"name": "a", "check": "missing", "columns": []}]');
SELECT make('[{"name": "a", "check": "missing", "columns": "n"}]');
SELECT make('[{"name": "a", "check": "missing", "column": ""}]');
SELECT make('[{"name": "a", "check": "range", "column": "page", "low": 0}]');
SELECT make('[{"name": "a", "check": "range", "column": "member", "low": 0}]');
SELECT make('[{"name": "a", "check": "range", "column": "day", "low": 0}]');
SELECT make('[{"name": "a", "check": "unseen", "column": "pages"}]');
SELECT make('[{"name": "a", "check": "unseen_share", "column": "pages", "high": 0.1}]');
SELECT make('[{"name": "a", "check": "finite", "column": "pages"}]');
-- bounds
SELECT make('[{"name": "a", "check": "range", "low": 0}]');
SELECT make('[{"name": "a", "check": "range", "column": "n"}]');
SELECT make('[{"name": "a", "check": "range", "column": "n", "low": 3, "high": 2}]');
SELECT make('[{"name": "a", "check": "range", "column": "n", "low": "0"}]');
SELECT make('[{"name": "a", "check": "range", "column": "n", "low": 1e999}]');
SELECT make('[{"name": "a", "check": "range", "bounds": {"n": [3, 2]}}]');
SELECT make('[{"name": "a", "check": "range", "bounds": {"n": [3]}}]');
SELECT make('[{"name": "a", "check": "range", "bounds": {"n": 3}}]');
SELECT make('[{"name": "a", "check": "range", "bounds": {}}]');
SELECT make('[{"name": "a", "check": "range", "bounds": {"n": [1, 2]}, "low": 1}]');
SELECT make('[{"name": "a", "check": "missing", "column": "n", "low": 1}]');
SELECT make('[{"name": "a", "check": "missing_share", "column": "n"}]');
SELECT make('[{"name": "a", "check": "missing_share", "column": "n", "low": 0, "high": 0.1}]');
SELECT make('[{"name": "a", "check": "missing_share", "column": "n", "high": 1.5}]');
SELECT make('[{"name": "a", "check": "missing_share", "bounds": {"n": [0, 1]}}]');
-- nothing of it was kept
SELECT count(*) FROM mlops.rule_set WHERE model = 'buys';

-- a version that does not have the columns, or has them as something else
SELECT make('[{"name": "known", "check": "unseen", "column": "page"}]') AS number;
SELECT mlops_promote('buys', 2, rules => 1);
SELECT make('[{"name": "few", "check": "range", "column": "pages", "high": 10}]') AS number;
SELECT mlops_promote('buys', 3, rules => 2);
-- checks of whatever there is suit every version
SELECT make('[{"name": "there", "check": "missing"}, {"name": "known", "check": "unseen", "severity": "hard"}, {"name": "types", "check": "type"}]') AS number;
SET client_min_messages = error;
SELECT version, rules FROM mlops_promote('buys', 2, rules => 3);
RESET client_min_messages;

-- only who may promote makes them, and who may read has some proposed
CREATE ROLE regress_ml_checks_reader;
GRANT USAGE ON SCHEMA ml_checks_errors TO regress_ml_checks_reader;
SELECT mlops_grant('buys', 'regress_ml_checks_reader', 'predict');
SET ROLE regress_ml_checks_reader;
SELECT make('[{"name": "a", "check": "finite"}]');
SELECT mlops_propose_checks('buys');
SELECT count(*) FROM mlops.serving_check WHERE model = 'buys';
RESET ROLE;
SELECT mlops_grant('buys', 'regress_ml_checks_reader', 'read');
SET ROLE regress_ml_checks_reader;
SELECT jsonb_typeof(mlops_propose_checks('buys')) AS proposed;
SELECT count(*) FROM mlops.serving_check WHERE model = 'buys';
RESET ROLE;
SELECT mlops_propose_checks('bys');
SELECT mlops_propose_checks('buys/9');

-- bytes that are no checks, of programs that anybody may hand to the view's function
CREATE FUNCTION damaged(program bytea, at int, by int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM mlops.program_checks(set_byte(program, at, (get_byte(program, at) + by) % 256));
    RETURN 'read';
EXCEPTION WHEN SQLSTATE 'ML004' THEN
    RETURN 'refused';
END $$;
CREATE TABLE program AS SELECT number, program FROM mlops_catalog.rule_set WHERE model = 'buys';
-- not one byte can be missing or too many, and no change of one crashes
SELECT bool_and(damaged = 'refused') AS all_refused FROM (
    SELECT damaged(substr(program, 1, n), 0, 0) AS damaged FROM program, generate_series(1, length(program) - 1) AS n
    UNION ALL SELECT damaged(program || '\x00', 0, 0) FROM program) AS d;
SELECT count(*) FILTER (WHERE damaged = 'refused') > 0 AS some_refused, count(*) FILTER (WHERE damaged = 'read') > 0 AS some_read
  FROM (SELECT damaged(program, at, by) AS damaged FROM program, generate_series(0, length(program) - 1) AS at, unnest(ARRAY[1, 5, 128]) AS by) AS d;
-- a kind, a severity, a bound that there is not
SELECT damaged(program, 0, 0) AS as_it_was,
       damaged(overlay(program PLACING '\x07' FROM position(convert_to('few', 'UTF8') IN program) + 3), 0, 0) AS kind,
       damaged(overlay(program PLACING '\x02' FROM position(convert_to('few', 'UTF8') IN program) + 4), 0, 0) AS severity,
       damaged(overlay(program PLACING '\x000000000000f87f' FROM length(program) - 7), 0, 0) AS bound
  FROM program WHERE number = 2;
-- the bytes of a rule set without checks are what they were
SELECT mlops_create_rules('buys', '[{"name": "a", "when": "pages > 3", "then": {"set": 0.5}}]') AS number;
SELECT encode(substr(program, 9, 4), 'hex') AS format FROM mlops_catalog.rule_set WHERE model = 'buys' ORDER BY number;

SET client_min_messages = error;
SELECT mlops_drop_model('buys', force => true);
DROP SCHEMA ml_checks_errors CASCADE;
DROP ROLE regress_ml_checks_reader;
