-- The story of make demo. Table customer is there (data.sql or telco.sql), and
-- the variables early and late: dates between which behaviour changed.
\set QUIET on
\set ON_ERROR_STOP on
\set VERBOSITY terse
\pset footer off
\pset null '-'
CREATE EXTENSION mlops;
CREATE VIEW customer_then AS SELECT * FROM customer WHERE joined < :'early';
CREATE VIEW customer_until_now AS SELECT * FROM customer WHERE joined < :'late';
CREATE VIEW newest_customer AS SELECT * FROM customer WHERE joined >= :'late';
CREATE VIEW lately AS SELECT * FROM customer WHERE joined >= :'early' AND joined < :'late';
\set ECHO queries

\echo
\echo '1. A table of customers. Some left, and we would like to know beforehand who will.'
\echo '   Those who joined lately behave differently, as we shall see.'
\echo
SELECT CASE WHEN joined < :'early' THEN 'then' WHEN joined < :'late' THEN 'lately' ELSE 'newest' END AS joined,
       count(*) AS customers, round(100.0 * avg(churned::int)) AS percent_left
  FROM customer GROUP BY 1 ORDER BY min(customer.joined);

\echo
\echo '2. What would mlops make of the columns? Nothing is trained yet.'
\echo
SELECT column_name, type, becomes, nulls, array_to_string(warnings, '; ') AS warnings
  FROM mlops_profile('customer_then', 'churned');

\echo
\echo '3. Train two versions of a model on the older customers: first a constant, to have something to beat ...'
\echo
CALL mlops_train('churn', 'customer_then', target => 'churned', algorithm => 'baseline',
                 key => 'customer_id', exclude => '{joined}');
\echo
\echo '   ... then a logistic regression.'
\echo
CALL mlops_train('churn', 'customer_then', target => 'churned', algorithm => 'logistic_regression',
                 key => 'customer_id', exclude => '{joined}');

\echo
\echo '4. Compare them on the fifth of the rows that neither was trained on.'
\echo
SELECT version, algorithm, rows_training, rows_holdout,
       round((holdout_metrics ->> 'roc_auc')::numeric, 3) AS roc_auc,
       round((holdout_metrics ->> 'log_loss')::numeric, 3) AS log_loss
  FROM mlops.version WHERE model = 'churn' ORDER BY version;

\echo
\echo '   What did the second learn? The strongest effects:'
\echo
SELECT term, round(estimate::numeric, 3) AS estimate, round(odds_ratio::numeric, 2) AS odds_ratio,
       p_value < 0.001 AS significant
  FROM mlops_coefficients('churn/2') ORDER BY abs(statistic) DESC NULLS LAST LIMIT 6;

\echo
\echo '5. Promote it: from the commit of this statement on, it is what "churn" means.'
\echo
SELECT model, version, threshold FROM mlops_promote('churn', 2, reason => 'better than a constant');

\echo
\echo '6. Score with it, in any query.'
\echo
SELECT customer_id, round(mlops_predict('churn', c)::numeric, 3) AS p_leaves, mlops_predict_label('churn', c) AS will_leave
  FROM customer_then AS c ORDER BY 2 DESC, 1 LIMIT 5;

\echo
\echo '7. Time passes, and people behave differently. How good is it on the newest customers?'
\echo
SELECT 'older customers' AS on_whom, round(100 * avg(mlops_predict('churn', c))::numeric) AS percent_predicted,
       round(100 * avg(churned::int)) AS percent_left,
       round(100 * avg((mlops_predict_label('churn', c) = churned::text)::int)) AS percent_right
  FROM customer_then AS c
UNION ALL
SELECT 'newest customers', round(100 * avg(mlops_predict('churn', c))::numeric), round(100 * avg(churned::int)),
       round(100 * avg((mlops_predict_label('churn', c) = churned::text)::int))
  FROM newest_customer AS c;

\echo
\echo '   What has changed in the rows themselves, and does it matter to this version?'
\echo
SELECT role, feature, round(psi::numeric, 2) AS psi, round(ks::numeric, 2) AS ks, round(importance::numeric, 2) AS importance, verdict, matters
  FROM mlops_drift('churn', 'newest_customer') WHERE verdict <> 'ok' ORDER BY impact DESC NULLS LAST, feature LIMIT 5;

\echo
\echo '8. Train again, on what is known by now, and try the new version beside the active one'
\echo '   on the newest customers, whom neither has seen. Training has changed nothing that serves.'
\echo
CALL mlops_train('churn', 'customer_until_now', target => 'churned', algorithm => 'logistic_regression',
                 key => 'customer_id', exclude => '{joined}', note => 'with the change of behaviour');
SELECT round(100 * avg((mlops_predict_label('churn', c) = churned::text)::int)) AS active_is_right,
       round(100 * avg((mlops_predict_label('churn/3', c) = churned::text)::int)) AS candidate_is_right
  FROM newest_customer AS c;

\echo
\echo '   Better. Promote it, if version 2 is still what serves.'
\echo
SELECT model, version FROM mlops_promote('churn', 3, expect => 2, reason => 'follows the change of behaviour');

\echo
\echo '9. Then something goes wrong. A nightly export writes the flag the wrong way round;'
\echo '   a version is trained on it, measures well (on data that is wrong in the same way) and is promoted.'
\echo
CREATE TABLE nightly_export AS SELECT * FROM customer;
UPDATE nightly_export SET churned = NOT churned;
CALL mlops_train('churn', 'nightly_export', target => 'churned', algorithm => 'logistic_regression',
                 key => 'customer_id', exclude => '{joined}');
SELECT version, round((holdout_metrics ->> 'roc_auc')::numeric, 3) AS roc_auc FROM mlops.version WHERE version = 4;
SELECT model, version FROM mlops_promote('churn', 4, reason => 'trained on all customers');
\echo
\echo '   Its favourites for leaving are the most faithful customers:'
\echo
SELECT round(100 * avg((mlops_predict_label('churn', c) = churned::text)::int)) AS percent_right FROM newest_customer AS c;

\echo
\echo '10. Go back. One statement; no training, no data to read, nothing to deploy.'
\echo
SELECT model, version FROM mlops_rollback('churn', reason => 'version 4 learned from an export with the flag inverted');
SELECT round(100 * avg((mlops_predict_label('churn', c) = churned::text)::int)) AS percent_right FROM newest_customer AS c;

\echo
\echo '11. It shall not happen again. A validation set rolls along with the customers: it holds the latest of them.'
\echo '    Every refresh reads what is new and makes an edition, which can be read again for ever.'
\echo
SELECT mlops_create_validation_set('churn', 'recent', 'customer', key => 'customer_id', time_column => 'joined',
                                   period => :'period', slices => :'slices', every => '10 years');
SELECT r.edition, r.rows, r.rows_in, r.rows_out, r.rows_read
  FROM generate_series(3, 0, -1) AS ago,
       LATERAL mlops_refresh_validation_set('churn', 'recent', as_of => date :'last' - ago * interval '1 month') AS r;

\echo
\echo '    Two gates: no version may lose more than 0.02 of log-loss against the active one, and on no slice more than 0.05.'
\echo
SELECT mlops_set_gate('churn', 'no worse', metric => 'log_loss', max_drop => 0.02);
SELECT mlops_set_gate('churn', 'nobody left behind', metric => 'log_loss', max_drop => 0.05, slices => '{*}', proof => 'worse');

\echo
\echo '    The version with the inverted flag does not get through any more. (The rows that either was trained on do not count.)'
\echo
\set ON_ERROR_STOP off
SELECT version FROM mlops_promote('churn', 4, reason => 'trained on all customers');
\set ON_ERROR_STOP on

\echo
\echo '12. A colleague trains on the newest customers only. A partner delivered a part of the list, the' :partner
\echo '    among them, and wrote two of three flags the wrong way round; nobody noticed.'
\echo
CREATE TABLE partner_list AS SELECT * FROM customer WHERE joined >= :'early' AND joined < :'late';
UPDATE partner_list SET churned = NOT churned WHERE :flipped;
CALL mlops_train('churn', 'partner_list', target => 'churned', algorithm => 'gradient_boosting',
                 key => 'customer_id', exclude => '{joined}');
SELECT slice, round(candidate::numeric, 3) AS candidate, round(champion::numeric, 3) AS champion,
       round(difference::numeric, 3) AS difference, round(low::numeric, 3) AS low, round(high::numeric, 3) AS high, n
  FROM mlops_compare('churn', 5, validation_set => 'recent') WHERE metric = 'log_loss' AND n > 0;

\echo
\echo '    Worse on a slice is not made good by being better elsewhere: the gate says where, and refuses.'
\echo
\set ON_ERROR_STOP off
SELECT version FROM mlops_promote('churn', 5);
\set ON_ERROR_STOP on

\echo
\echo '13. What the active version gets most wrong is pinned: these rows never leave the set, whatever its window.'
\echo
SELECT mlops_pin_failures('churn', 'recent', max_rows => 50) AS pinned;
SELECT mlops_set_gate('churn', 'past failures', metric => 'accuracy', min_gain => 0, slices => '{pinned}', min_rows => 20, proof => 'worse');
SELECT r.edition, r.rows, r.rows_in, r.rows_out FROM mlops_refresh_validation_set('churn', 'recent', as_of => :'last') AS r;

\echo
\echo '    Train again with the flags put right, and ask the gates again.'
\echo
UPDATE partner_list SET churned = c.churned FROM customer AS c WHERE c.customer_id = partner_list.customer_id;
CALL mlops_train('churn', 'partner_list', target => 'churned', algorithm => 'gradient_boosting',
                 key => 'customer_id', exclude => '{joined}');
\set ON_ERROR_STOP off
SELECT model, version FROM mlops_promote('churn', 6, reason => 'knows how people behave now');
\set ON_ERROR_STOP on

\echo
\echo '14. In an emergency a version can be promoted whatever its gates say. The history does not forget it.'
\echo
SELECT model, version FROM mlops_promote('churn', 5, force => true, reason => 'the partner insists until Monday');
SELECT model, version FROM mlops_rollback('churn', reason => 'it is Monday');

\echo
\echo '15. What happened, for whoever asks:'
\echo
SELECT number, action, version, from_version, forced,
       jsonb_array_length(jsonb_path_query_array(evidence, '$.gates[*] ? (@.verdict == "fail")')) AS gates_failed, reason
  FROM mlops.deployment WHERE model = 'churn' ORDER BY number;
\echo

\echo
\echo '16. Rules are versioned, too: conditions on the row and the prediction, on top of the model.'
\echo '    First see what a rule would change, then serve with it. Both go, and come back, with one call.'
\echo
SELECT rule, rows, fired, round(mean_before::numeric, 2) AS mean_before, round(mean_after::numeric, 2) AS mean_after, labels_changed
  FROM mlops_check_rules('churn', :'rules', 'newest_customer');
SELECT mlops_create_rules('churn', :'rules', note => 'agreed with the call centre') AS rules;
SELECT version AS active FROM mlops.serving WHERE model = 'churn' \gset
SELECT model, version, rules FROM mlops_promote('churn', :active, rules => 1);

\echo
\echo '17. A challenger. It runs in the shadow first: asked beside the active version, logged, and shown to nobody.'
\echo
CALL mlops_train('churn', 'lately', target => 'churned', algorithm => :'challenger',
                 key => 'customer_id', exclude => '{joined}', note => 'the challenger');
SELECT mlops_shadow('churn', 7, name => 'challenger', share => 1);
SELECT count(*) AS scored FROM mlops_score('churn', 'newest_customer', key => 'customer_id');
\echo
\echo '    What comes true is recorded later, under the same key. Then both can be compared on the same customers:'
\echo
SELECT count(mlops_record_outcome('churn', customer_id, churned::text)) AS outcomes FROM newest_customer;
SELECT metric, round(candidate::numeric, 3) AS candidate, round(champion::numeric, 3) AS champion,
       round(difference::numeric, 3) AS difference, round(low::numeric, 3) AS low, round(high::numeric, 3) AS high, n
  FROM mlops_compare_live('churn', 'challenger', metrics => '{log_loss, accuracy}');
SELECT mlops_shadow('churn', 7, name => 'challenger', enabled => false);

\echo
\echo '18. Then it serves a share: a fifth of the customers, the same ones every time.'
\echo '    For that it has to pass the gates, as any other.'
\echo
SELECT model, version, share, previous_version FROM mlops_promote('churn', 7, share => 0.2, reason => 'the challenger');
SELECT role, version, count(*) AS customers
  FROM mlops_score('churn', 'newest_customer', key => 'customer_id') GROUP BY role, version ORDER BY role;

\echo
\echo '    Both sides, and an interval of their difference that holds however often one looks at it:'
\echo
SELECT count(mlops_record_outcome('churn', customer_id, churned::text)) AS outcomes FROM newest_customer;
SELECT side, version, round(value::numeric, 3) AS value, round(low::numeric, 3) AS low, round(high::numeric, 3) AS high, n, verdict
  FROM mlops_canary_report('churn', as_of => now() + interval '1 day') WHERE metric = 'log_loss';
\echo
\echo '    No harm so far. It may serve everybody.'
\echo
SELECT model, version, share FROM mlops_promote('churn', 7, reason => 'the canary did no harm');

\echo
\echo '19. A monitor watches the live quality, and goes back by itself if it must. (A period is a day, usually;'
\echo '    here it is two seconds, so that we need not wait.)'
\echo
SELECT mlops_set_monitor('churn', 'live log-loss', 'log_loss', maximum => 0.8, period => '2 seconds', label_delay => '2 seconds', min_rows => 200, action => 'rollback');
\echo
\echo '    Somebody in a hurry promotes the version with the inverted flag, whatever the gates say.'
\echo
SELECT model, version FROM mlops_promote('churn', 4, force => true, reason => 'was in a hurry');
SELECT count(*) AS scored FROM mlops_score('churn', 'newest_customer', key => 'customer_id');
SELECT count(mlops_record_outcome('churn', customer_id, churned::text)) AS outcomes FROM newest_customer;
SELECT pg_sleep(4);
CALL mlops_tick();
SELECT alert, monitor, round(value::numeric, 3) AS value, round(low::numeric, 3) AS low, round(high::numeric, 3) AS high, maximum, version, done
  FROM mlops.alert WHERE model = 'churn';
\echo
\echo '    The whole interval was beyond the bound. What serves now, and why:'
\echo
SELECT version, rules, deployed_by, reason FROM mlops_serving_at('churn', clock_timestamp());
