-- mlops_canary_report(): the canary beside the active version, by what came true of the predictions of both. It may be
-- looked at as often as one likes: intervals of differences hold at all looks at once, and so does the test whether
-- the keys are split as they should be. Times are given, so that none depends on a clock.

CREATE SCHEMA canary_report_test;
SET search_path = canary_report_test;
\set SHOW_CONTEXT never
SET client_min_messages = error;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
CREATE TABLE customer AS
SELECT i AS id, i % 10 AS calls, CASE WHEN i % 10 + i % 3 > 6 THEN 'yes' ELSE 'no' END AS left_us FROM generate_series(1, 60) AS i;
SELECT mlops_create_model('bird', positive => 'yes', metric => 'accuracy');
SELECT mlops_train_now('bird', 'customer', 'left_us', features => '{calls}', algorithm => 'baseline') AS version;
SELECT mlops_train_now('bird', 'customer', 'left_us', features => '{calls}', algorithm => 'baseline', seed => 2) AS version;
SELECT version FROM mlops_promote('bird', 1);
RESET client_min_messages;

-- without a canary there is nothing to say
SELECT count(*) FROM mlops_canary_report('bird', '2030-01-01');

-- A canary at 20 %, and what was logged since: 1000 keys, each fifth of them on the canary. The active version is right
-- for 8 in 10 of them, the canary for 6 in 10. (The history is told that it was promoted in 2030.)
CREATE FUNCTION canary(share float8, at timestamptz) RETURNS int LANGUAGE sql
AS $$SELECT mlops_promote('bird', 2, share);
     UPDATE mlops_catalog.deployment SET deployed_at = at
      WHERE model = 'bird' AND number = (SELECT max(number) FROM mlops_catalog.deployment WHERE model = 'bird') RETURNING number$$;
SELECT canary(0.2, '2030-01-02') AS deployment;
CREATE FUNCTION logged(from_key int, to_key int, at timestamptz, every int DEFAULT 5, deployment int DEFAULT 2) RETURNS bigint LANGUAGE sql
AS $$INSERT INTO mlops_catalog.prediction (model, key, at, prediction, label, version, role, deployment)
     SELECT 'bird', 'k' || i, at, 0.7, 'yes', CASE WHEN i % every = 0 THEN 2 ELSE 1 END, CASE WHEN i % every = 0 THEN 'canary' ELSE 'active' END, CASE WHEN i % every = 0 THEN deployment ELSE 1 END
       FROM generate_series(from_key, to_key) AS i;
     SELECT (to_key - from_key + 1)::bigint$$;
CREATE FUNCTION came_true(from_key int, to_key int, at timestamptz, canary int DEFAULT 6, active int DEFAULT 8, every int DEFAULT 5) RETURNS bigint LANGUAGE sql
AS $$SELECT count(mlops_record_outcome('bird', 'k' || i, CASE WHEN i / every % 10 < CASE WHEN i % every = 0 THEN canary ELSE active END THEN 'yes' ELSE 'no' END, at))
       FROM generate_series(from_key, to_key) AS i$$;
SELECT logged(1, 1000, '2030-01-03');

-- no outcome yet: the split alone can be judged
SELECT side, version, metric, value, n, predictions, coverage, p_value, verdict FROM mlops_canary_report('bird', '2030-01-03 12:00')
 WHERE metric = 'accuracy' OR side = 'split';

SELECT came_true(1, 1000, '2030-01-04');
SELECT side, version, metric, round(value::numeric, 3) AS value, round(low::numeric, 3) AS low, round(high::numeric, 3) AS high, n, predictions, coverage,
       round(p_value::numeric, 5) AS p_value, verdict
  FROM mlops_canary_report('bird', '2030-01-05') WHERE metric = 'accuracy' OR side = 'split';
-- The sides have Wilson's interval. The difference is the normal mixture's of Waudby-Smith et al. 2024, theorem 2.2, here by
-- hand: the difference of 800 keys and 200 is as uncertain as a mean of 160, and rho makes it narrowest for 1000. An error
-- is Wilson's width by that of a normal; a spread, its square times the keys, is at least that of both sides together
WITH side AS (
    SELECT side, value, ((high - low) / 2 / 1.959963984540054) ^ 2 * n AS spread, n FROM mlops_canary_report('bird', '2030-01-05')
     WHERE metric = 'accuracy' AND side <> 'difference'),
both_sides AS (
    SELECT sum(value) FILTER (WHERE side = 'canary') - sum(value) FILTER (WHERE side = 'active') AS difference,
           (SELECT sum(greatest(s.spread, (SELECT sum(p.spread * p.n) / sum(p.n) FROM side AS p)) / s.n) FROM side AS s) AS variance,
           160 * (-2 * ln(0.05) + ln(-2 * ln(0.05) + 1)) / 1000 AS u FROM side),
by_hand AS (
    SELECT difference, sqrt(variance * 2 * (1 + u) / u * ln(sqrt(1 + u) / 0.05)) AS radius,
           least(sqrt(1 + u) * exp(- (difference ^ 2) / variance * u / (1 + u) / 2), 1) AS p_value FROM both_sides)
SELECT abs(r.low - (difference - radius)) < 1e-9 AS low, abs(r.high - (difference + radius)) < 1e-9 AS high, abs(r.p_value / h.p_value - 1) < 1e-6 AS p_value
  FROM by_hand AS h, mlops_canary_report('bird', '2030-01-05') AS r WHERE r.side = 'difference' AND r.metric = 'accuracy';
-- an interval of one look, which must not be looked at twice, would be narrower
SELECT (SELECT high - low FROM mlops_canary_report('bird', '2030-01-05') WHERE side = 'difference' AND metric = 'accuracy') >
       2 * 1.96 * sqrt(0.8 * 0.2 / 800 + 0.6 * 0.4 / 200) AS wider;

-- every metric that the log knows enough for, the model's own first, but for those that would be bootstrapped; a lower loss is better
SELECT metric, count(*) AS rows FROM mlops_canary_report('bird', '2030-01-05') GROUP BY metric ORDER BY metric NULLS FIRST;
SELECT metric, verdict FROM mlops_canary_report('bird', '2030-01-05') WHERE side = 'difference' AND metric IN ('accuracy', 'brier', 'recall');

-- and registered metrics that the model or a gate of it is about: the same share again, as a business would count it
CREATE FUNCTION right_step(float8[], boolean, boolean) RETURNS float8[] LANGUAGE sql IMMUTABLE AS 'SELECT ARRAY[$1[1] + ($2 = $3)::int, $1[2] + 1]';
CREATE FUNCTION right_share(float8[]) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT $1[1] / $1[2]';
CREATE AGGREGATE right_share(boolean, boolean) (sfunc = right_step, stype = float8[], finalfunc = right_share, initcond = '{0,0}');
SELECT mlops_create_metric('right_share_live', 'right_share(boolean, boolean)', true);
SET client_min_messages = error;
SELECT mlops_set_gate('bird', 'right', metric => 'right_share_live', minimum => 0.5);
RESET client_min_messages;
SELECT side, round(value::numeric, 3) AS value, low < value AND value < high AS interval, n, verdict
  FROM mlops_canary_report('bird', '2030-01-05') WHERE metric = 'right_share_live';
SELECT mlops_drop_gate('bird', 'right'), mlops_drop_metric('right_share_live');

-- More of it: worse, and then nobody doubts it. What was known then is what is told of then
SELECT logged(1001, 6000, '2030-01-06'), came_true(1001, 6000, '2030-01-07');
SELECT metric, p_value < 1e-6 AS certain, verdict FROM mlops_canary_report('bird', '2030-01-08') WHERE side = 'difference' AND metric IN ('accuracy', 'brier') ORDER BY metric;
SELECT n, verdict FROM mlops_canary_report('bird', '2030-01-05') WHERE side = 'difference' AND metric = 'accuracy';

-- Keys are what counts. The same customers asked ten times a day say no more than once, though n is ten times as many
-- (a quarter of them on the canary now)
SELECT canary(0.25, '2030-02-01') AS deployment;
SELECT sum(logged(1, 1000, timestamptz '2030-02-01' + h * interval '2 hours', every => 4, deployment => 3)) AS calls,
       sum(came_true(1, 1000, timestamptz '2030-02-01 01:00' + h * interval '2 hours', every => 4)) AS outcomes FROM generate_series(1, 10) AS h;
SELECT t.n, once.n AS of_keys, (t.high - t.low) / (once.high - once.low) BETWEEN 0.85 AND 1.1 AS as_wide
  FROM mlops_canary_report('bird', '2030-02-03') AS t, mlops_canary_report('bird', '2030-01-05') AS once
 WHERE t.side = 'difference' AND t.metric = 'accuracy' AND once.side = 'difference' AND once.metric = 'accuracy';

-- Another share is another comparison, of other times: what came before is left out. Here 20 keys on the canary, nothing to decide by
SELECT canary(0.5, '2030-03-01') AS deployment;
SELECT logged(10001, 10040, '2030-03-02', every => 2, deployment => 4), came_true(10001, 10040, '2030-03-03', every => 2);
SELECT side, n, verdict FROM mlops_canary_report('bird', '2030-03-04') WHERE metric = 'accuracy' OR side = 'split';
-- and of fewer than ten keys on a side no interval is told
SELECT low, high, p_value, verdict FROM mlops_canary_report('bird', '2030-03-02 12:00') WHERE side = 'difference' AND metric = 'accuracy';

-- A split that is broken: half of the keys were to get the canary, and one in five does. It is found by the mixture of
-- Lindon & Malek 2022, exact for any number of keys; here by its definition, one key after the other
SELECT logged(20001, 20400, '2030-03-05', deployment => 4);
SELECT round(value::numeric, 4) AS share, low < value AND value < high AND high < 0.5 AS interval, n AS keys, p_value < 0.001 AS broken, verdict
  FROM mlops_canary_report('bird', '2030-03-06') WHERE side = 'split';
WITH mixture AS (
    SELECT sum(ln(500 + i)) FILTER (WHERE i < 100) + sum(ln(500 + i)) FILTER (WHERE i < 340) - sum(ln(1000 + i)) - 440 * ln(0.5) AS log_odds
      FROM (SELECT i::float8 FROM generate_series(0, 439) AS i) AS n)
SELECT abs(r.p_value / exp(- log_odds) - 1) < 1e-6 AS as_defined FROM mixture, mlops_canary_report('bird', '2030-03-06') AS r WHERE side = 'split';

-- an end, and the report of before it
SELECT version, share FROM mlops_rollback('bird', reason => 'the split is broken');
UPDATE mlops_catalog.deployment SET deployed_at = '2030-04-01' WHERE model = 'bird' AND action = 'rollback';
SELECT count(*) FROM mlops_canary_report('bird', '2030-04-02');
SELECT verdict FROM mlops_canary_report('bird', '2030-03-06') WHERE side = 'split';

-- the numerics by themselves, for those who count elsewhere: two estimates, their standard errors and units; a share of units
SELECT low < -0.03 AS low, high > 0.03 AS high, p_value FROM mlops.sequential_difference(0.80, 0.01, 1600, 0.80, 0.01, 1600);
SELECT round(low::numeric, 4) AS low, round(high::numeric, 4) AS high, p_value FROM mlops.sequential_share(50, 950, 0.05);
SELECT * FROM mlops.sequential_difference(0.80, 0.01, 1600, 0.70, 0.01, 5);
SELECT * FROM mlops.sequential_share(50, 950, 0.05, alpha => 1);
\echo :LAST_ERROR_SQLSTATE

-- What is refused
SELECT * FROM mlops_canary_report('brid');
SELECT * FROM mlops_canary_report('bird', 'infinity');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM mlops_canary_report(NULL);
CREATE ROLE regress_mlops_canary_reader;
SET ROLE regress_mlops_canary_reader;
SELECT * FROM mlops_canary_report('bird', '2030-01-05');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
DROP ROLE regress_mlops_canary_reader;

SET client_min_messages = error;
SELECT mlops_drop_model('bird', force => true);
DROP SCHEMA canary_report_test CASCADE;
