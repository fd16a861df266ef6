-- A shadow is a version that is asked beside the active one and never shown.
-- It is part of the bundle, so that it changes at a commit and a version that is one
-- cannot be dropped; promotions and rollbacks leave it where it is. What it says is
-- logged beside what was answered, for a share of the logged calls, and can be compared with
-- it when outcomes are there. Here calls are those of mlops_score(); those of mlops_predict are
-- in test/t/032_shadow.pl. What is refused is in shadow_errors.sql.

CREATE SCHEMA shadow_test;
SET search_path = shadow_test;
\set SHOW_CONTEXT never
SET client_min_messages = error;

-- whether somebody leaves depends on calls and not on noise: version 1 has learned nothing, version 2 what there is
CREATE TABLE customer AS
SELECT i AS id, (i % 10)::float8 AS calls, (hashint4(i) % 7)::float8 AS noise,
       CASE WHEN i % 10 + hashint4(i + 1000) % 5 > 5 THEN 'yes' ELSE 'no' END AS left_us FROM generate_series(1, 200) AS i;
SELECT mlops_train_now('shade', 'SELECT id, noise, left_us FROM customer', 'left_us', key => 'id', algorithm => 'logistic_regression') AS version;
SELECT mlops_train_now('shade', 'SELECT id, calls, left_us FROM customer', 'left_us', key => 'id', algorithm => 'logistic_regression') AS version;
SELECT mlops_train_now('shade', 'SELECT id, calls, noise, left_us FROM customer', 'left_us', key => 'id', algorithm => 'decision_tree') AS version;
SELECT (mlops_promote('shade', 1)).version;
SELECT mlops_set_model('shade', '{"log_sample": 1}');
RESET client_min_messages;

-- one for all logged calls; one, called by its number as long as it is given no name, for one key in ten
SELECT mlops_shadow('shade', 2, name => 'next', share => 1);
SELECT mlops_shadow('shade', 3);
SELECT name, version, threshold, share, is_active, set_by = current_user AS by_me FROM mlops.shadow WHERE model = 'shade' ORDER BY name;
SELECT shadows FROM mlops_status() WHERE model = 'shade';

-- the reference to a shadow says what it says; it is a role, too
SELECT count(*) AS rows, bool_and(mlops_predict('shade@shadow.next', c) = mlops_predict('shade/2', c)) AS same FROM customer AS c;
-- and among what every version that has a role makes of a row are the shadows, however the row comes; a reference to one is it alone
SELECT v.form, a.role, a.version, a.prediction = mlops_predict('shade/' || a.version, c) AS prediction, a.label = mlops_predict_label('shade/' || a.version, c) AS label
  FROM customer AS c, LATERAL (SELECT 'record' AS form, a.* FROM mlops_predict_all('shade', c) AS a
                               UNION ALL SELECT 'jsonb', a.* FROM mlops_predict_all('shade', to_jsonb(c)) AS a
                               UNION ALL SELECT 'json', a.* FROM mlops_predict_all('shade', to_json(c)) AS a
                               UNION ALL SELECT 'text', a.* FROM mlops_predict_all('shade', to_jsonb(c)::text) AS a) AS v, LATERAL (SELECT v.role, v.version, v.prediction, v.label) AS a
 WHERE id = 7 ORDER BY v.form, a.role;
SELECT role, version FROM customer AS c, mlops_predict_all('shade@shadow.next', c) WHERE id = 7;
-- one that cannot be asked of the row is in nobody's way, as in the log: it has no prediction. So does a row of NULLs
SELECT role, version, prediction IS NULL AS none, label IS NULL AS no_label FROM mlops_predict_all('shade', '{"noise": 3}'::jsonb) ORDER BY role;
SELECT role, version, prediction, label FROM mlops_predict_all('shade', NULL::jsonb) ORDER BY role;

-- answers are what they are without shadows
CREATE TABLE answered AS SELECT * FROM mlops_score('shade', 'SELECT * FROM customer ORDER BY id', 'id');
SELECT count(*) AS rows, bool_and(a.prediction = mlops_predict('shade/1', c)) AS same, min(version) AS version, min(role) AS role
  FROM answered AS a JOIN customer AS c ON c.id::text = a.key;

-- and beside them is logged what each shadow would have said, with the threshold that it would serve with
CREATE TABLE shadowed AS
SELECT l.key, l.prediction, l.label, s.key AS shadow, s.value ->> 'status' AS status, (s.value ->> 'version')::int AS version,
       (s.value ->> 'prediction')::float8 AS shadow_prediction, s.value ->> 'label' AS shadow_label, (s.value ->> 'us')::float8 AS us
  FROM mlops.prediction AS l, jsonb_each(l.shadows) AS s WHERE l.model = 'shade';
SELECT shadow, version, status, CASE WHEN shadow = 'next' THEN count(*) END AS rows, bool_and(us >= 0) AS timed,
       bool_and(shadow_prediction = CASE version WHEN 2 THEN mlops_predict('shade/2', c) ELSE mlops_predict('shade/3', c) END) AS same_prediction,
       bool_and(shadow_label = CASE version WHEN 2 THEN mlops_predict_label('shade/2', c) ELSE mlops_predict_label('shade/3', c) END) AS same_label
  FROM shadowed AS s JOIN customer AS c ON c.id::text = s.key GROUP BY shadow, version, status ORDER BY shadow;
-- the trace of a key has it
SELECT t.version, t.shadows -> 'next' ->> 'version' AS next_version, t.shadows -> 'next' ->> 'label' = mlops_predict_label('shade/2', c) AS next_label
  FROM customer AS c, mlops_trace('shade', c.id) AS t WHERE c.id = 7;

-- a sample is one of keys: the same ones each time, and a smaller sample is part of a larger one
CREATE TABLE first_sample AS SELECT key FROM shadowed WHERE shadow = '3';
SELECT count(*) BETWEEN 5 AND 40 AS about_a_tenth FROM first_sample;
SELECT mlops_shadow('shade', 3, share => 0.5);
SELECT count(*) AS rows FROM mlops_score('shade', 'SELECT * FROM customer', 'id');
SELECT count(DISTINCT f.key) = (SELECT count(*) FROM first_sample) AS all_again, count(*) > 2 * count(f.key) AS and_more
  FROM (SELECT DISTINCT key FROM mlops.prediction WHERE model = 'shade' AND shadows ? '3' AND at > (SELECT max(set_at) FROM mlops.shadow)) AS l
  LEFT JOIN first_sample AS f USING (key);
-- of a log that is itself a sample, the shadows have as much as they ask for
SELECT mlops_set_model('shade', '{"log_sample": 0.1}');
SELECT mlops_shadow('shade', 3, share => 0.1);
SELECT count(*) AS rows FROM mlops_score('shade', 'SELECT * FROM customer', 'id');
SELECT count(*) FILTER (WHERE shadows ? '3') = count(*) AS all_of_them FROM mlops.prediction
 WHERE model = 'shade' AND at > (SELECT max(set_at) FROM mlops.shadow);
SELECT mlops_set_model('shade', '{"log_sample": 1}');

-- calls that name a version have no shadows, and models that have none pay nothing
SELECT count(*) AS rows FROM mlops_score('shade/1', 'SELECT * FROM customer WHERE id <= 10', 'id');
SELECT count(*) AS rows, count(shadows) AS with_shadows FROM mlops.prediction WHERE model = 'shade' AND role = 'pinned';

-- what they did, whatever came true: how often the labels agreed, and how far the probabilities lay apart in the mean
SELECT r.shadow, r.version, r.calls = (SELECT count(*) FROM mlops.prediction WHERE shadows ? r.shadow) AS all_calls, r.ok = r.calls AS all_ok, failed, skipped,
       r.mean_us >= 0 AS timed, r.p95_us >= 0 AS p95
  FROM mlops_shadow_report('shade', as_of => clock_timestamp()) AS r ORDER BY shadow;
SELECT abs(r.agreement / s.agreement - 1) < 1e-9 AS agreement, abs(r.difference / s.difference - 1) < 1e-9 AS difference, r.n = s.n AS n
  FROM mlops_shadow_report('shade', as_of => (SELECT min(at) + interval '1 hour' FROM mlops.prediction)) AS r,
       (SELECT avg((l.label = s.value ->> 'label')::int) AS agreement, avg(abs(l.prediction - (s.value ->> 'prediction')::float8)) AS difference,
               count(*) FILTER (WHERE l.prediction IS NOT NULL) AS n
          FROM mlops.prediction AS l, jsonb_each(l.shadows) AS s WHERE s.key = 'next') AS s WHERE r.shadow = 'next';

-- the status has it in a word, of the last seven days: counted when rows are logged, not looked for
SELECT regexp_replace(shadows, '[0-9.]+ us', '# us') AS shadows FROM mlops_status() WHERE model = 'shade';
SELECT name, sum(calls) = (SELECT count(*) FROM mlops.prediction WHERE shadows ? name) AS counted, sum(failed) AS failed, sum(skipped) AS skipped
  FROM mlops.shadow_cost WHERE model = 'shade' GROUP BY name ORDER BY name;

-- when it is known what came true, both are judged on the same rows: by the numbers that the log has, as if by hand
SELECT count(mlops_record_outcome('shade', id::text, left_us)) AS outcomes FROM customer;
SELECT c.metric, c.n, c.predictions, c.difference > 0 AS better,
       abs(c.candidate - d.first) + abs(c.champion - d.second) + abs(c.low - d.low) + abs(c.high - d.high) + abs(c.p_value - d.p_value) < 1e-9 AS as_by_hand
  FROM mlops_compare_live('shade', 'next', metrics => '{roc_auc, brier, accuracy}', as_of => clock_timestamp()) AS c,
       LATERAL (SELECT (mlops.difference_of(array_agg(shadow_prediction ORDER BY id), array_agg(prediction ORDER BY id),
                                            array_agg((left_us = 'yes')::int::float8 ORDER BY id), c.metric)).*
                  FROM shadowed JOIN customer ON id::text = key WHERE shadow = 'next') AS d ORDER BY metric;

-- an outcome belongs to the last call of its key: those of earlier ones are not compared; a version will do as a name
SELECT metric, n, predictions > n AS more_calls FROM mlops_compare_live('shade', '2', as_of => clock_timestamp());
-- or as mlops_shadow returned it, or as a version is written elsewhere
SELECT metric, n FROM mlops_compare_live('shade', 'shade@shadow.next', as_of => clock_timestamp());
SELECT metric, n FROM mlops_compare_live('shade', 'shade/2', as_of => clock_timestamp());
-- calls of one key are one cluster: twice the calls of the same keys make the interval hardly narrower
SELECT count(*) FROM mlops_score('shade', 'SELECT * FROM customer', 'id');
SELECT count(mlops_record_outcome('shade', id::text, left_us, clock_timestamp())) AS outcomes FROM customer;
SELECT two.n, two.candidate = one.candidate AS same, round(((two.high - two.low) / (one.high - one.low))::numeric, 1) AS width
  FROM mlops_compare_live('shade', 'next', as_of => clock_timestamp()) AS two,
       mlops_compare_live('shade', 'next', as_of => (SELECT max(at) FROM mlops.outcome WHERE model = 'shade' AND recorded_at < (SELECT max(at) FROM mlops.prediction))) AS one;

-- rows that a rule decided are left out of both
SELECT mlops_create_rules('shade', '[{"name": "loud", "when": "noise > 3", "then": {"set": 0}}]');
SET client_min_messages = error;
SELECT (mlops_promote('shade', 1, rules => 1)).rules;
RESET client_min_messages;
CREATE TABLE ruled AS SELECT clock_timestamp() AS at;
SELECT count(*) FROM mlops_score('shade', 'SELECT * FROM customer', 'id');
SELECT calls, n FROM mlops_shadow_report('shade', as_of => clock_timestamp(), period => clock_timestamp() - (SELECT at FROM ruled)) WHERE shadow = 'next';

-- Promotions leave shadows as they are. One that is promoted is not asked while it is active, and comes back after a rollback
SET client_min_messages = error;
SELECT (mlops_promote('shade', 2, rules => 0)).version;
RESET client_min_messages;
SELECT name, version, is_active FROM mlops.shadow WHERE model = 'shade' ORDER BY name;
SELECT count(*) FROM mlops_score('shade', 'SELECT id + 1000 AS id, calls, noise FROM customer', 'id');
SELECT count(shadows -> 'next') AS next, count(shadows -> '3') > 0 AS other FROM mlops.prediction WHERE model = 'shade' AND key LIKE '1___';
SELECT (mlops_rollback('shade')).version;
SELECT count(*) FROM mlops_score('shade', 'SELECT id + 2000 AS id, calls, noise FROM customer', 'id');
SELECT count(shadows -> 'next') AS next FROM mlops.prediction WHERE model = 'shade' AND key LIKE '2___';

-- Beside a canary, shadows are asked whichever side answered; and not a version where it is the one that answered
SELECT mlops_shadow('shade', 3, share => 1);
SET client_min_messages = error;
SELECT share FROM mlops_promote('shade', 3, share => 0.5);
RESET client_min_messages;
SELECT count(*) FROM mlops_score('shade', 'SELECT id + 4000 AS id, calls, noise FROM customer', 'id');
SELECT role, version, count(*) > 50 AS some, count(shadows -> 'next') = count(*) AS next, count(shadows -> '3') = count(*) AS other, count(shadows -> '3') > 0 AS other_at_all
  FROM mlops.prediction WHERE model = 'shade' AND key LIKE '4___' GROUP BY role, version ORDER BY role;
-- what is compared is what the champion answered, and no rule decided
SELECT count(mlops_record_outcome('shade', (id + 4000)::text, left_us, clock_timestamp())) FROM customer;
CREATE TABLE canary AS SELECT min(at) AS since, clock_timestamp() AS until FROM mlops.prediction WHERE key LIKE '4___';
SELECT c.n = l.n AS of_the_active_side
  FROM canary AS y, mlops_compare_live('shade', 'next', period => y.until - y.since, as_of => y.until) AS c,
       (SELECT count(*) AS n FROM mlops.prediction WHERE key LIKE '4___' AND role = 'active' AND rules_fired = 0) AS l;
SELECT (mlops_rollback('shade')).version;

-- it belongs to the transaction
PREPARE roles AS SELECT array_agg(a.role ORDER BY a.role) FROM mlops_predict_all('shade', '{"calls": 3, "noise": 3}'::jsonb) AS a;
EXECUTE roles;
BEGIN;
SELECT mlops_shadow('shade', 2, name => 'next', enabled => false);
SELECT name FROM mlops.shadow WHERE model = 'shade' ORDER BY name;
EXECUTE roles;
ROLLBACK;
EXECUTE roles;
SELECT name FROM mlops.shadow WHERE model = 'shade' ORDER BY name;

-- taken away by name, or all of a version; the history says who did what
SELECT mlops_shadow('shade', NULL, name => 'next', enabled => false);
SELECT mlops_shadow('shade', 3, name => 'again');
SELECT mlops_shadow('shade', 3, enabled => false) IS NOT NULL AS removed;
SELECT mlops_shadow('shade', 3, enabled => false);
SELECT number, event, name, version, share, caused_by = current_user AS by_me FROM mlops.shadow_event WHERE model = 'shade' ORDER BY number;
SELECT shadows FROM mlops_status() WHERE model = 'shade';
SELECT count(*) FROM mlops_score('shade', 'SELECT id + 3000 AS id, calls, noise FROM customer', 'id');
SELECT count(shadows) AS shadows FROM mlops.prediction WHERE model = 'shade' AND key LIKE '3___';
SELECT mlops_drop_version('shade', 3);

-- what a shadow has cost goes with the days of the log
BEGIN;
SELECT count(*) > 0 AS counted FROM mlops.shadow_cost WHERE model = 'shade';
SELECT mlops_prune_log(1, now() + interval '10 days') >= 0 AS pruned;
SELECT count(*) FROM mlops.shadow_cost;
ROLLBACK;

SET client_min_messages = error;
SELECT mlops_drop_model('shade', force => true);
DROP SCHEMA shadow_test CASCADE;
