-- A canary is a second bundle that serves a share of the rows beside the active
-- one: mlops_promote with a share below 1 starts it or changes its share, share
-- 1 completes it, a rollback ends it. Which rows are the canary's follows from
-- a hash of the model's salt and the key alone: the same key always sees the
-- same side, a share grows without moving anybody back, and anyone can work it
-- out again.
CREATE SCHEMA ml_canary;
SET search_path = ml_canary;
\set SHOW_CONTEXT never
-- a version says its own number, but for rounding, whatever the row
CREATE TABLE visitor AS SELECT i AS id, i % 10 AS pages FROM generate_series(1, 100000) AS i;
SET client_min_messages = error;
SELECT mlops_train_now('shop', format('SELECT pages, (%s + id %% 2 * 2 - 1)::float8 AS says FROM ml_canary.visitor WHERE id <= 1000', i),
                       'says', algorithm => 'baseline', holdout => 0) AS version FROM generate_series(1, 3) AS i;
SELECT version FROM mlops_promote('shop', 1);

-- ---- which rows ----

-- positions as a program in another language has them: SHA-256 stands for a key of more than 255 bytes
SELECT key, mlops_canary_position('shop', key) = position AS found
  FROM (VALUES ('anna', 0.49947015575016895), ('42', 0.2511203146910005), ('', 0.09857030431764591),
               ('8a1d7f6e-0000-4000-8000-000000000001', 0.36403214981025434),
               ('-9223372036854775808', 0.7149674109364612)) AS v (key, position);
SELECT mlops_canary_position('shop', repeat('k', 300)) = 0.8338716425605724 AS long,
       mlops_canary_position('shop', convert_from('\x4772c3bcc39f65', 'UTF8')) = 0.9279431546153311 AS other_letters;
-- a key is its text, whatever its type; no key has no position
SELECT mlops_canary_position('shop', 42) = mlops_canary_position('shop', '42') AS number,
       mlops_canary_position('shop', uuid '8A1D7F6E-0000-4000-8000-000000000001') = 0.36403214981025434 AS uuid,
       mlops_canary_position('shop', '-9223372036854775808'::bigint) = 0.7149674109364612 AS least,
       mlops_canary_position('shop', NULL::text) AS none;
-- the hash of a row without a key is that of its encoding: here of one double, least byte first
SELECT mlops_canary_position('shop', v) = 0.7004684535762682 AS three FROM (SELECT 3 AS pages, 'x' AS other) AS v;
SELECT mlops_canary_position('shop', v) = 0.6706169360530451 AS missing FROM (SELECT NULL::int AS pages, 'x' AS other) AS v;
SELECT mlops_canary_position('shop', v) AS no_row FROM (SELECT NULL::int AS pages) AS v;

-- positions are spread evenly: chi-square over 100 equal bins below its 99.9 % point at 99 degrees of freedom
SELECT sum((n - 1000.0) ^ 2 / 1000) < 148.2 AS even
  FROM (SELECT count(*) AS n FROM visitor GROUP BY width_bucket(mlops_canary_position('shop', id), 0, 1, 100)) AS b;

-- 5 % start: who sees the canary is who is below 0.05, within four standard errors of 5,000
SELECT version, share, deployment, previous_version FROM mlops_promote('shop', 2, share => 0.05, reason => 'a try');
CREATE TABLE seen AS SELECT id, round(mlops_predict('shop', v, id)) AS says, mlops_canary_position('shop', id) AS position FROM visitor AS v;
SELECT count(*) FILTER (WHERE says = 2) BETWEEN 4725 AND 5275 AS share,
       count(*) FILTER (WHERE (says = 2) <> (position < 0.05)) AS otherwise, count(*) FILTER (WHERE says NOT IN (1, 2)) AS others FROM seen;

-- it grows: nobody is moved back, and those that come are between the shares; smaller again, it is as it was
SELECT version, share, deployment, previous_version FROM mlops_promote('shop', 2, share => 0.2);
SELECT count(*) FILTER (WHERE s.says = 2 AND n.says <> 2) AS moved_back,
       count(*) FILTER (WHERE s.says <> 2 AND n.says = 2) = count(*) FILTER (WHERE s.position >= 0.05 AND s.position < 0.2) AS come
  FROM seen AS s JOIN (SELECT id, round(mlops_predict('shop', v, id)) AS says FROM visitor AS v) AS n USING (id);
SELECT version, share, deployment FROM mlops_promote('shop', 2, share => 0.05);
SELECT count(*) AS changed FROM seen AS s JOIN visitor AS v USING (id) WHERE s.says <> round(mlops_predict('shop', v, id));

-- the log's sample is another one: of 5 % of the keys that are logged 5 % are the canary's, and not all or none
SELECT mlops_set_model('shop', '{"log_sample": 0.05}');
SELECT count(*) AS scored FROM mlops_score('shop', 'SELECT * FROM ml_canary.visitor WHERE id <= 40000', 'id');
SELECT count(*) BETWEEN 1830 AND 2170 AS logged, count(*) FILTER (WHERE role = 'canary') BETWEEN 60 AND 140 AS canary
  FROM mlops.prediction WHERE model = 'shop';
-- the role, and the deployment by which each side serves
SELECT role, version, deployment FROM mlops.prediction WHERE model = 'shop' GROUP BY 1, 2, 3 ORDER BY 1;
SELECT count(*) AS on_the_wrong_side FROM mlops.prediction
 WHERE model = 'shop' AND (role = 'canary') <> (mlops_canary_position('shop', key) < 0.05);

-- ---- every way to score ----

SELECT version, share FROM mlops_promote('shop', 2, share => 0.5);
-- with a key: columns, rows, JSON, text and arrays agree
SELECT count(*) AS rows, count(*) FILTER (WHERE mlops_canary_position('shop', id) < 0.5) = count(*) FILTER (WHERE a = 2) AS canary,
       count(*) FILTER (WHERE a <> b OR a <> c OR a <> d OR a <> e OR a <> f) AS differ
  FROM (SELECT id, round(mlops_predict('shop', v, id)) AS a, round(mlops_predict('shop', ROW(v.*)::visitor, id)) AS b, round(mlops_predict('shop', to_json(v), id)) AS c,
               round(mlops_predict('shop', to_jsonb(v), id::text)) AS d, round(mlops_predict('shop', to_jsonb(v)::text, id)) AS e,
               round(mlops_predict('shop', ARRAY[pages]::float8[], id)) AS f FROM visitor AS v WHERE id <= 1000) AS w;
-- without one the content of the row decides, however it comes, and columns that the model does not read do not
SELECT pages, a = 2 AS canary, mlops_canary_position('shop', w) < 0.5 AS expected, a = b AND a = c AND a = d AND a = e AS same
  FROM (SELECT pages, round(mlops_predict('shop', v)) AS a, round(mlops_predict('shop', to_json(v))) AS b, round(mlops_predict('shop', to_jsonb(v))) AS c,
               round(mlops_predict('shop', ARRAY[pages]::float8[])) AS d, round(mlops_predict(mlops_bundle('shop'), v)) AS e
          FROM visitor AS v WHERE id BETWEEN 501 AND 510) AS w ORDER BY pages;
SELECT round(mlops_predict('shop', v)) AS no_row FROM (SELECT NULL::int AS pages) AS v;
-- a bundle carries both sides, in text and back; it has no keys, so the content decides
SELECT count(*) FILTER (WHERE round(mlops_predict(b, v)) <> round(mlops_predict('shop', v))) AS differ, count(DISTINCT round(mlops_predict(b, v))) AS sides
  FROM visitor AS v, (SELECT mlops_bundle('shop')::text::mlops.bundle OFFSET 0) AS b (b) WHERE id <= 100;
-- both at once, and what explains the side that answers
SELECT role, version, round(prediction) AS prediction FROM mlops_predict_all('shop', '{"pages": 3}'::jsonb);
SELECT feature, round(contribution) AS says FROM mlops_explain('shop', '{"pages": 3}'::jsonb, key => '42') WHERE feature = '(base)';
SELECT feature, round(contribution) AS says FROM mlops_explain('shop', '{"pages": 3}'::jsonb, key => '-9223372036854775808') WHERE feature = '(base)';
-- the canary by its role, whatever the row: a bundle of one side
SELECT round(mlops_predict('shop@canary', '{"pages": 3}'::jsonb)) AS canary, round(mlops_predict('shop@active', '{"pages": 3}'::jsonb, '-9223372036854775808')) AS active,
       round(mlops_predict(mlops_bundle('shop@canary'), '{"pages": 3}'::jsonb)) AS carried;
-- a pinned version is what it is
SELECT DISTINCT round(mlops_predict('shop/1', v, id)) AS pinned FROM visitor AS v WHERE id <= 1000;

-- prepared statements with generic plans follow at their next execution
SET plan_cache_mode = force_generic_plan;
PREPARE score (text, bigint) AS SELECT round(mlops_predict($1, ARRAY[1]::float8[], $2)) AS says;
EXECUTE score ('shop', 42);
SELECT version, share FROM mlops_promote('shop', 2, share => 0.25);
EXECUTE score ('shop', 42);
SELECT version, share FROM mlops_promote('shop', 2, share => 0.5);
EXECUTE score ('shop', 42);
RESET plan_cache_mode;
-- so do the leader and workers of a parallel plan, row by row
CREATE TABLE serial AS SELECT id, round(mlops_predict('shop', v, id)) AS says FROM visitor AS v;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SELECT sum(says) = (SELECT sum(says) FROM serial) AS same, count(*) FILTER (WHERE says = 2) = (SELECT count(*) FROM serial WHERE serial.says = 2) AS canary
  FROM (SELECT round(mlops_predict('shop', v, id)) AS says FROM visitor AS v) AS s;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;

-- ---- its end ----

-- what it looks like while it runs
SELECT version, canary_version, canary_share, deployment, canary_deployment, canary_salt, stack FROM mlops.serving WHERE model = 'shop';
SELECT version, canary, canary_share FROM mlops_status() WHERE model = 'shop';
-- since when the active version serves, whatever the canary began later
SELECT s.deployed_at = d.deployed_at AS of_the_active, s.deployed_at < c.deployed_at AS before_the_canary
  FROM mlops_status() AS s JOIN mlops.serving AS b USING (model)
  JOIN mlops.deployment AS d ON d.model = s.model AND d.number = b.deployment
  JOIN mlops.deployment AS c ON c.model = s.model AND c.number = b.canary_deployment WHERE s.model = 'shop';
SELECT regexp_replace(line, '^ +', '') AS line FROM regexp_split_to_table(mlops_describe('shop/2'), E'\n') AS line WHERE line LIKE '%canary of%';
-- a rollback ends it, and touches nothing else
SELECT version, share, deployment, previous_version FROM mlops_rollback('shop', reason => 'slow');
SELECT version, canary_version, canary_share, deployment, canary_deployment, stack FROM mlops.serving WHERE model = 'shop';
SELECT DISTINCT round(mlops_predict('shop', v, id)) AS says FROM visitor AS v WHERE id <= 1000;
-- share 1 completes it: what was active is what a rollback goes back to
SELECT version, share FROM mlops_promote('shop', 2, share => 0.3);
SELECT version, share, deployment, previous_version FROM mlops_promote('shop', 2);
SELECT version, canary_version, deployment, canary_deployment, stack FROM mlops.serving WHERE model = 'shop';
-- two steps: the canary, then what served before; each is a line of the history
SELECT version, share FROM mlops_promote('shop', 3, share => 0.3);
SELECT version, share, deployment, previous_version FROM mlops_rollback('shop', steps => 2);
-- another version for all ends the canary, and says so; so does the active one itself
SELECT version FROM mlops_promote('shop', 3, share => 0.3);
RESET client_min_messages;
SELECT version FROM mlops_promote('shop', 2);
SET client_min_messages = error;
SELECT version FROM mlops_promote('shop', 3, share => 0.3);
SELECT version, deployment FROM mlops_promote('shop', 2);
SELECT version, canary_version, deployment, stack FROM mlops.serving WHERE model = 'shop';
-- expect means the active version; a transaction that is taken back leaves no trace
BEGIN;
SELECT version FROM mlops_promote('shop', 3, share => 0.01, expect => 2);
ROLLBACK;
SELECT number, action, version, share, from_version, from_deployment, restored_deployment, reason
  FROM mlops.deployment WHERE model = 'shop' ORDER BY number;

-- ---- a whole bundle ----

CREATE TABLE member AS SELECT i AS id, i % 10 AS visits, i % 10 > 4 AND i % 7 > 0 AS stays FROM generate_series(1, 700) AS i;
SELECT mlops_train_now('stay', 'SELECT visits, stays FROM ml_canary.member', 'stays') AS version;
SELECT mlops_create_rules('stay', '[{"name": "none", "when": "visits = 0", "then": {"suppress": true}, "stop": true}]') AS rules;
SELECT version, threshold, rules FROM mlops_promote('stay', 1, threshold => 0.5);
-- the same version with another threshold and rules is a canary worth trying
SELECT version, threshold, rules, share FROM mlops_promote('stay', 1, threshold => 0, rules => 1, share => 0.5);
SELECT side, count(*) FILTER (WHERE label IS NULL) AS suppressed, count(*) FILTER (WHERE label = 'false') > 0 AS falls_below
  FROM (SELECT CASE WHEN mlops_canary_position('stay', id) < 0.5 THEN 'canary' ELSE 'active' END AS side, visits,
               mlops_predict_label('stay', m, id) AS label FROM member AS m WHERE id <= 100 OR visits > 0) AS s GROUP BY side ORDER BY side;
-- it grows with what it has, and completes with it
SELECT version, threshold, rules, share FROM mlops_promote('stay', 1, share => 0.6);
SELECT serves FROM mlops.rule_set WHERE model = 'stay';
SELECT role, count(*) > 0 AS some FROM mlops_score('stay', 'SELECT * FROM ml_canary.member', 'id') GROUP BY role ORDER BY role;
SELECT role, rules_fired IS NOT NULL AS has_rules, bool_or(rules_fired <> 0) AS fired FROM mlops.prediction WHERE model = 'stay' GROUP BY 1, 2 ORDER BY 1;
SELECT count(*) FILTER (WHERE mlops_predict_label(b, m) IS DISTINCT FROM mlops_predict_label('stay', m)) AS differ
  FROM member AS m, (SELECT mlops_bundle('stay') OFFSET 0) AS b (b);
SELECT version, threshold, rules, share FROM mlops_promote('stay', 1);

-- ---- the salt ----

-- by default the model's name; another one deals the keys anew, but not under a canary that runs
SELECT version, share FROM mlops_promote('shop', 3, share => 0.5);
SELECT mlops_set_model('shop', '{"canary_salt": "autumn"}');
SELECT canary_salt FROM mlops.serving WHERE model = 'shop';
SELECT mlops_canary_position('shop', 'anna') = 0.49947015575016895 AS as_it_was;
SELECT version, share FROM mlops_promote('shop', 3, share => 0.6);
SELECT canary_salt FROM mlops.serving WHERE model = 'shop';
SELECT version FROM mlops_rollback('shop');
SELECT mlops_canary_position('shop', 'anna') = 0.056725526724136 AS dealt_anew;
SELECT version, share FROM mlops_promote('shop', 3, share => 0.06);
SELECT round(mlops_predict('shop', '{"pages": 1}'::jsonb, 'anna')) AS anna;
SELECT canary_salt, min(number) AS since FROM mlops.deployment WHERE model = 'shop' GROUP BY canary_salt ORDER BY since;
SELECT mlops_set_model('shop', '{"canary_salt": null}');

SELECT mlops_drop_model(model, force => true) FROM (VALUES ('shop'), ('stay')) AS m (model);
SET client_min_messages = warning;
DROP SCHEMA ml_canary CASCADE;
