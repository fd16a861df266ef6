-- Parameters are data: every algorithm lists its own, with default, range and
-- explanation, and the ones that all share. An unknown name, a wrong type and
-- a value out of range are refused before a row is read.

CREATE SCHEMA train_params_test;
SET search_path = train_params_test;
SET client_min_messages = warning;
CREATE TABLE points AS SELECT i::float8 AS x, 2 * i + sin(i) AS y FROM generate_series(1, 100) AS i;

SELECT algorithm, tasks, probability, inference FROM mlops_algorithms()
 WHERE algorithm IN ('baseline', 'linear_regression') ORDER BY 1;
SELECT parameter, type, default_value, minimum, maximum, choices
  FROM mlops_params('linear_regression') ORDER BY parameter;
SELECT count(*) = count(explanation) AND count(DISTINCT algorithm) > 3 AS all_explained FROM mlops_params();

-- an unknown algorithm is refused with a list of all (left out here) and the nearest
CREATE FUNCTION refusal(statement text, OUT state text, OUT message text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
END
$$;
SELECT * FROM refusal($$SELECT * FROM mlops_params('linear')$$);
SELECT * FROM refusal($$SELECT * FROM mlops_params('baseline_of_mean_or_frequency')$$);
SELECT * FROM refusal($$SELECT * FROM mlops_params('li')$$);

-- defaults are filled in, and kept with the version
SELECT mlops_train_now('with_params', 'points', 'y', params => '{"l2": 0.5, "impute": "median", "intercept": false}');
SELECT params FROM mlops.version WHERE model = 'with_params';

-- null is the default
SELECT mlops_train_now('with_params', 'points', params => '{"l2": null}');
SELECT params ->> 'l2' AS l2 FROM mlops.version WHERE model = 'with_params' AND version = 2;

-- refused
CALL mlops_train('with_params', 'points', params => '{"l3": 1}');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('with_params', 'points', algorithm => 'linear_regression', params => '{"colour": "red"}');
CALL mlops_train('with_params', 'points', algorithm => 'linear_regression', params => '{"l2": -1}');
CALL mlops_train('with_params', 'points', algorithm => 'linear_regression', params => '{"l2": "much"}');
CALL mlops_train('with_params', 'points', algorithm => 'linear_regression', params => '{"l2": 1e999}');
CALL mlops_train('with_params', 'points', algorithm => 'linear_regression', params => '{"l2": 1e308}');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('with_params', 'points', algorithm => 'linear_regression', params => '{"intercept": 1}');
CALL mlops_train('with_params', 'points', algorithm => 'linear_regression', params => '{"max_categories": 2.5}');
CALL mlops_train('with_params', 'points', algorithm => 'linear_regression', params => '{"max_categories": 0}');
CALL mlops_train('with_params', 'points', algorithm => 'linear_regression', params => '{"impute": "guess"}');
CALL mlops_train('with_params', 'points', algorithm => 'linear_regression', params => '{"impute": ["mean"]}');
CALL mlops_train('with_params', 'points', algorithm => 'linear_regression', params => '[1]');
SELECT * FROM refusal($$SELECT mlops_train_now('with_params', 'points', algorithm => 'linear_regresion')$$);
CALL mlops_train('with_params', 'points', options => '{"refti": true}');
CALL mlops_train('with_params', 'points', options => '{"refit": "yes"}');
SELECT count(*) AS versions FROM mlops.version WHERE model = 'with_params';

SELECT count(mlops_drop_model(m, force => true)::text) AS dropped FROM unnest(ARRAY['with_params']) AS m;
DROP SCHEMA train_params_test CASCADE;
