-- A gate bounds a metric on a validation set: alone (minimum, maximum), or
-- against the active version on the same rows (max_drop, min_gain). Against the
-- active version the interval of the difference decides: what it cannot show
-- keeps the gate closed, unless only what is shown to be worse is to be stopped.
-- A gate that cannot be heard is closed, and says why.
CREATE SCHEMA ml_gate;
SET search_path = ml_gate;
\set SHOW_CONTEXT never
-- y is 1 with a chance that follows x; z says nothing; every fifth row is of a region where x says the opposite
CREATE TABLE visit AS
SELECT i AS n, i / 2000.0 AS x, (i * 7919) % 2003 AS z, CASE WHEN i % 5 = 0 THEN 'far' ELSE 'near' END AS region,
       CASE WHEN i % 5 = 0 THEN i / 2000.0 < ((i * 31 + 11) % 100) / 100.0
            ELSE i / 2000.0 > ((i * 31 + 11) % 100) / 100.0 END AS bought
  FROM generate_series(1, 2000) AS i;
CREATE VIEW learned AS SELECT * FROM visit WHERE n % 2 = 0;
CREATE VIEW judged AS SELECT * FROM visit WHERE n % 2 = 1;
SET client_min_messages = error;
SELECT mlops_train_now('buys', 'learned', 'bought', features => '{x}', params => '{"l2": 1}') AS sees_x;
SELECT mlops_train_now('buys', 'learned', 'bought', features => '{z}', params => '{"l2": 1}') AS sees_nothing;
SELECT mlops_train_now('buys', 'learned', 'bought', features => '{x,z}', params => '{"l2": 1}') AS nearly_the_same;
SELECT mlops_train_now('buys', 'learned', 'bought', features => '{x,region}', algorithm => 'gradient_boosting', params => '{"trees": 20}') AS sees_both;
RESET client_min_messages;

-- a gate on a set that is not there yet stays closed until it is
SELECT mlops_set_gate('buys', 'floor', metric => 'roc_auc', minimum => 0.6);
SELECT gate, verdict, explanation FROM mlops_check_gates('buys', 1);
SELECT mlops_create_validation_set('buys', 'fresh', 'SELECT * FROM judged', key => 'n', slices => '{region}');
SELECT gate, verdict, explanation FROM mlops_check_gates('buys', 1);
SELECT edition, rows FROM mlops_refresh_validation_set('buys', 'fresh');

-- minimum and maximum judge the point, or the end of the interval that is nearer to failing (numbers are shown as #)
CREATE FUNCTION verdict(of int, OUT gate text, OUT verdict text, OUT slice text, OUT why text) RETURNS SETOF record
LANGUAGE sql AS $$
    SELECT gate, verdict, slice, regexp_replace(explanation, '[+-]?\d+\.\d+(e-\d+)?', '#', 'g') FROM mlops_check_gates('buys', of) $$;
SELECT * FROM verdict(1);
SELECT * FROM verdict(2);
SELECT mlops_set_gate('buys', 'ceiling', metric => 'log_loss', maximum => 0.69);
SELECT mlops_set_gate('buys', 'sure', metric => 'roc_auc', minimum => 0.68, on_interval => true);
SELECT mlops_set_gate('buys', 'lenient', metric => 'roc_auc', minimum => 0.68, on_interval => true, proof => 'worse');
SELECT * FROM verdict(1);
SELECT mlops_drop_gate('buys', 'sure'), mlops_drop_gate('buys', 'lenient');

-- with nothing active there is nothing to compare with
SELECT mlops_set_gate('buys', 'no worse', metric => 'roc_auc', max_drop => 0.02);
SELECT * FROM verdict(1) WHERE gate = 'no worse';
SELECT version FROM mlops_promote('buys', 1, threshold => 0.5);
-- a version that sees nothing is worse, one that sees much the same is not
SELECT * FROM verdict(2) WHERE gate = 'no worse';
SELECT * FROM verdict(3) WHERE gate = 'no worse';
-- the version itself: no difference at all
SELECT * FROM verdict(1) WHERE gate = 'no worse';
-- more than these rows can tell, said with the rows that it would need
SELECT mlops_set_gate('buys', 'better', metric => 'log_loss', min_gain => 0.0001);
SELECT gate, verdict, needed > 5000 AS needs_many, explanation ~ 'about \d+ would be needed$' AS said
  FROM mlops_check_gates('buys', 3) WHERE gate = 'better';
SELECT mlops_set_gate('buys', 'better', metric => 'log_loss', min_gain => 0.0001, proof => 'worse');
SELECT * FROM verdict(3) WHERE gate = 'better';
SELECT mlops_drop_gate('buys', 'better');

-- slices: a version that is better overall and worse on one is refused, and the report says where
SELECT version FROM mlops_promote('buys', 2, threshold => 0.5, force => true, reason => 'to have something poor');
SELECT mlops_set_gate('buys', 'everywhere', metric => 'roc_auc', max_drop => 0.05, slices => '{*}');
SELECT * FROM verdict(1) ORDER BY 1, 3;
SELECT version FROM mlops_rollback('buys');
SELECT * FROM verdict(4) WHERE gate = 'everywhere' ORDER BY 3;
SELECT version FROM mlops_promote('buys', 4, threshold => 0.5);
SELECT mlops_set_gate('buys', 'everywhere', metric => 'accuracy', max_drop => 0.05, slices => ARRAY['region = ''near''', 'region = ''moon''']);
SELECT * FROM verdict(1) WHERE gate = 'everywhere' ORDER BY 3;

-- too few rows: a slice that is named stays closed, one of all is skipped
SELECT mlops_set_gate('buys', 'everywhere', metric => 'accuracy', minimum => 0.1, min_rows => 500, slices => '{*}');
SELECT * FROM verdict(1) WHERE gate = 'everywhere' ORDER BY 3;
SELECT mlops_set_gate('buys', 'everywhere', metric => 'accuracy', minimum => 0.1, min_rows => 500, slices => ARRAY['region = ''far''']);
SELECT * FROM verdict(1) WHERE gate = 'everywhere' ORDER BY 3;
SELECT mlops_drop_gate('buys', 'everywhere');

-- what is no metric: the cost of a row, rows that are not like those of the training
SELECT mlops_set_gate('buys', 'cost', metric => 'scoring_p99', maximum => 1000);
SELECT mlops_set_gate('buys', 'missing', metric => 'missing_share', maximum => 0.01);
SELECT mlops_set_gate('buys', 'unseen', metric => 'unseen_share', maximum => 0.01);
SELECT gate, verdict FROM verdict(4) WHERE gate IN ('cost', 'missing', 'unseen');
UPDATE visit SET region = CASE WHEN n % 3 = 1 THEN NULL ELSE 'moon' END WHERE n % 20 = 1;
SELECT edition, rows FROM mlops_refresh_validation_set('buys', 'fresh');
SELECT * FROM verdict(4) WHERE gate IN ('missing', 'unseen');

-- the share of rows on which rules would decide
SELECT mlops_create_rules('buys', '[{"name": "far away", "when": "region = ''far''", "then": {"suppress": true}}]') AS rules;
SELECT mlops_set_gate('buys', 'few rules', metric => 'rules_fired_share', maximum => 0.1);
SELECT gate, verdict, round(value::numeric, 2) AS share FROM mlops_check_gates('buys', 4, rules => 1) WHERE gate = 'few rules';
SELECT gate, verdict, round(value::numeric, 2) AS share FROM mlops_check_gates('buys', 4) WHERE gate = 'few rules';
SELECT mlops_set_gate('buys', 'few rules', metric => 'rules_fired_share', maximum => 0.1, slices => '{*}');
SELECT mlops_drop_gate('buys', 'few rules');

-- a metric of one's own bounds like those that are built in; while a gate asks for it, it stays
CREATE FUNCTION earn(total float8, prediction float8, label boolean) RETURNS float8 LANGUAGE sql IMMUTABLE AS
$$ SELECT total + CASE WHEN prediction < 0.5 THEN 0 WHEN label THEN 10 ELSE -4 END $$;
CREATE AGGREGATE earnings(float8, boolean) (sfunc = earn, stype = float8, initcond = '0');
SELECT mlops_create_metric('gate_earnings', 'ml_gate.earnings(float8, boolean)', higher_is_better => true);
SELECT mlops_set_gate('buys', 'earns', metric => 'gate_earnings', minimum => 1, max_drop => 1000);
SELECT gate, verdict, value > 1 AS earns, difference < 0 AS less_than_4 FROM mlops_check_gates('buys', 1) WHERE gate = 'earns';
SELECT mlops_drop_metric('gate_earnings');
SELECT mlops_drop_gate('buys', 'earns');
SELECT mlops_drop_metric('gate_earnings');

-- What is refused: a bound of nothing, impossible bounds, a metric of another task, unknown ones, comparing what has no interval
SELECT mlops_set_gate('buys', 'none', metric => 'roc_auc');
SELECT mlops_set_gate('buys', 'turned', metric => 'roc_auc', minimum => 0.9, maximum => 0.1);
SELECT mlops_set_gate('buys', 'rise', metric => 'roc_auc', max_drop => -0.1);
SELECT mlops_set_gate('buys', 'fall', metric => 'roc_auc', min_gain => -0.1);
SELECT mlops_set_gate('buys', 'nan', metric => 'roc_auc', minimum => 'NaN');
\set VERBOSITY terse
SELECT mlops_set_gate('buys', 'task', metric => 'rmse', maximum => 1);
\set VERBOSITY default
SELECT mlops_set_gate('buys', 'typo', metric => 'roc_acu', minimum => 0.5);
SELECT mlops_set_gate('buys', 'cost', metric => 'scoring_p99', max_drop => 1);
SELECT mlops_set_gate('buys', 'few', metric => 'roc_auc', minimum => 0.5, min_rows => 0);
SELECT mlops_set_gate('buys', 'a/b', metric => 'roc_auc', minimum => 0.5);
SELECT mlops_set_gate('buys', 'elsewhere', metric => 'roc_auc', minimum => 0.5, validation_set => 'frsh');
SELECT * FROM verdict(1) WHERE gate = 'elsewhere';

SELECT mlops_set_gate('buys', 'over all', metric => 'roc_auc', minimum => 0.1);
-- all rows are the slice without a name, as in mlops_evaluate; what is dropped from under gates says which
SELECT slice = '' AS all_rows, (SELECT count(*) FROM mlops_evaluate('buys/1', 'fresh') AS e WHERE e.slice = v.slice AND e.metric = 'roc_auc') AS in_evaluate
  FROM mlops_check_gates('buys', 1) AS v WHERE gate = 'over all';
SELECT mlops_create_slice('buys', 'fresh', 'late', 'n > 300') > 0 AS some;
SELECT mlops_set_gate('buys', 'late ones', metric => 'accuracy', minimum => 0.1, slices => '{late}');
SELECT mlops_drop_slice('buys', 'fresh', 'late');
SELECT mlops_drop_validation_set('buys', 'fresh');

SELECT mlops_drop_model('buys', force => true);
DROP SCHEMA ml_gate CASCADE;
