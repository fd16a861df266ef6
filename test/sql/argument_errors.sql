-- What is refused says so in words of ours: the argument, what was found against what is needed, and what to call
-- next, without statements that the user never wrote. Contexts are shown here.

CREATE SCHEMA argument_errors_test;
SET search_path = argument_errors_test;
SET TimeZone = 'UTC';
SET client_min_messages = warning;
CREATE TABLE visit AS SELECT i AS id, i % 7 AS pages, timestamptz '2026-01-01' + i * interval '1 hour' AS at, (i * 5 % 13 + i % 7) > 8 AS bought FROM generate_series(1, 200) AS i;
SELECT mlops_train_now('arg', 'visit', 'bought', features => '{pages}', params => '{"l2": 1}') AS version;
SELECT mlops_train_now('arg', 'visit', 'bought', features => '{pages}', params => '{"l2": 2}') AS version;
SELECT version FROM mlops_promote('arg', 1);
SELECT mlops_create_validation_set('arg', 'all', 'visit', key => 'id');
SELECT edition FROM mlops_refresh_validation_set('arg', 'all');

-- functions that are queries inside
SELECT * FROM mlops_trace(NULL, 'k');
SELECT * FROM mlops_trace('arg', NULL::text);
SELECT * FROM mlops_trace('agr', 'k');
SELECT * FROM mlops_serving_at('agr', '2026-01-01');
SELECT * FROM mlops_serving_at('arg', NULL);
SELECT * FROM mlops_quality_by_age('agr');
SELECT * FROM mlops_quality_by_age('arg', period => '-1 day');
SELECT * FROM mlops_quality_by_age('arg', every => NULL);
SELECT * FROM mlops_quality_by_age('arg', as_of => 'infinity');
SELECT count(*) FROM mlops_quality_by_age('arg', period => '178000000 years');
SELECT * FROM mlops_checks('agr');
SELECT * FROM mlops_checks('arg', period => '-1 day');
SELECT * FROM mlops_checks('arg', as_of => '-infinity');
SELECT count(*) FROM mlops_checks('arg', period => '-178000000 years');
SELECT * FROM mlops_live_error_change('agr');
SELECT * FROM mlops_live_error_change('arg', period => '-178000000 years');
SELECT * FROM mlops_live_error_change('arg', delta => 'NaN');
SELECT * FROM mlops_live_error_change('arg', delta => -1);
SELECT mlops_describe('agr');
-- the context of the caller's own function is his
DO $$ BEGIN PERFORM mlops_describe('agr'); END $$;
SELECT * FROM mlops_statistics('arg', period => '-1 day');
SELECT * FROM mlops_statistics('arg', as_of => 'infinity');

-- outcomes: a time, and a source that fails as it is, not as it is read
SELECT mlops_set_outcomes('arg', 'SELECT id AS key, bought AS outcome, at::text AS at FROM visit');
SELECT mlops_set_outcomes('arg', 'SELECT id AS key, bought AS outcome, id AS at FROM visit');
SELECT mlops_set_outcomes('arg', 'SELECT id AS key, bought AS outcome, at FROM visit', lateness => '-1 day');
SELECT mlops_set_outcomes('arg', 'SELECT id AS key, bought AS outcome, at FROM visit', lateness => '2147483647 days');
SELECT mlops_set_outcomes('arg', 'SELECT id AS key, bought AS outcome, (SELECT at FROM visit AS v WHERE v.id <= q.id) AS at FROM visit AS q');
-- rows are read when they are pulled
SELECT mlops_set_outcomes('arg', 'SELECT 1 / (id - 7) AS key, bought AS outcome, at FROM visit');
SELECT * FROM mlops_pull_outcomes('arg');
SELECT * FROM mlops_pull_outcomes('arg', as_of => 'infinity');
SELECT * FROM mlops_pull_outcomes(NULL);

-- rollouts: what a promotion refuses, and stages
SELECT mlops_create_rollout('arg', 9, '[{"share": 0.1}, {"share": 1}]');
SELECT mlops_create_rollout('arg', 2, '[{"share": 0.1}, {"share": 1}]', rules => -1);
SELECT mlops_create_rollout('arg', 2, '[{"share": 0.1}, {"share": 1}]', threshold => 'NaN');
SELECT mlops_create_rollout('arg', 2, '[{"share": 0.1, "min_time": "soon"}, {"share": 1}]');
SELECT mlops_create_rollout('arg', 2, (SELECT jsonb_agg(jsonb_build_object('share', i / 200.0)) FROM generate_series(1, 200) AS i));

-- gates
SELECT * FROM mlops_check_gates('arg', 2, threshold => -1);
SELECT * FROM mlops_check_gates('arg', 2, threshold => 'NaN');
SELECT * FROM mlops_check_gates('arg', 2, rules => -1);
SELECT * FROM mlops_check_gates('arg', 2, rules => 9);
SELECT mlops_set_gate('arg', 'g', metric => 'roc_auc', minimum => '-infinity');

-- judging: what belongs to a query, and how much can be asked for
SELECT count(*) FROM mlops_compare('arg', 2, target => 'bougth');
SELECT count(*) FROM mlops_compare('arg', 2, slices => '{nothing}');
SELECT count(*) FROM mlops_error_slices('arg', weight => 'nothing');
SELECT count(*) FROM mlops_threshold('arg', target => 'nothing');
SELECT count(*) FROM mlops_evaluate_query('arg', 'visit', slices => array_fill('pages'::text, '{1001}'));
SELECT count(*) FROM mlops_evaluate_query('arg', 'visit', slices => '{pages,NULL}');
SELECT count(*) FROM mlops_evaluate_query('arg', 'visit', slices => '{" "}');
SELECT count(*) FROM mlops_performance('arg', slices => '{NULL}');
SELECT count(*) FROM mlops_performance('arg', slices => array_fill('pages'::text, '{1001}'));
SELECT mlops_create_slice('arg', 'all', 'blank', ' ');

-- metrics, models, privileges, documents
SELECT mlops_create_metric('odd', '', true);
SELECT mlops_create_metric('odd', 'a b', true);
SELECT mlops_create_metric('odd', 'avg(floot8)', true);
SELECT mlops_create_model('other', target => '');
SELECT mlops_create_model('other', settings => '{"": 1}');
SELECT mlops_grant('arg', 'public', 'everything at all');
SELECT mlops_import('other', '{"(intercept)": 1}'::jsonb, options => '{"": 1}');
SELECT mlops_import('other', '{"(intercept)": 1'::text);
SELECT mlops_predict('arg', '{"pages": 1'::text);
SELECT mlops_predict('arg', '{1,x}'::text);
SELECT count(*) FROM mlops_check_rules('arg', 'nothing'::text, 'visit');

-- keys
SELECT mlops_pin('arg', 'all', 'seven');
SELECT mlops_record_label('arg', repeat('long ', 1000), 'true');
SELECT mlops_record_failure('arg', repeat('ké', 1000));

-- what changes something does not pass over a NULL
SELECT mlops_grant('arg', NULL, 'read');
SELECT mlops_revoke(NULL, 'public', 'read');
SELECT mlops_drop_slice('arg', 'all', NULL);
SELECT mlops_drop_validation_set('arg', NULL);
SELECT mlops_forget('arg', NULL);

SELECT mlops_drop_model('arg', force => true);
DROP SCHEMA argument_errors_test CASCADE;
