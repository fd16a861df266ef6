-- mlops_drift(): do the rows that come now look like those that a model was trained on, and does it
-- matter where they do not? Each distance is held against its definition, written out in SQL.

CREATE SCHEMA drift_test;
SET search_path = drift_test;
\set SHOW_CONTEXT never
SET client_min_messages = error;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';

-- what the training had, and what came later: "used" is larger, "plan" has another mix, "age" is as it was
CREATE TABLE before AS
SELECT i AS id, (i * 7919 % 1009) / 10.0::float8 AS used, 20 + i * 31 % 50 AS age, (ARRAY['basic', 'pro', 'max', 'basic', 'pro', 'basic'])[1 + i * 13 % 6] AS plan,
       CASE WHEN i % 20 > 0 THEN (i * 433 % 997)::numeric END AS spent, i % 2 = 0 AS member
  FROM generate_series(1, 1200) AS i;
CREATE TABLE after AS
SELECT id, used * 1.1 + 10 AS used, 20 + (id + 7) * 31 % 50 AS age, CASE WHEN id % 5 = 0 THEN 'max' ELSE plan END AS plan, spent, member FROM before WHERE id <= 1000;
CREATE VIEW labelled_before AS SELECT *, used + age + (plan = 'max')::int * 30 > 110 AS churned FROM before;
CREATE VIEW labelled_after AS SELECT *, used + age + (plan = 'max')::int * 30 > 110 AS churned FROM after;
SELECT mlops_train_now('drift', 'labelled_before', 'churned', exclude => '{id}', algorithm => 'decision_tree', holdout => 0);
SELECT version FROM mlops_promote('drift', 1);

-- ---- against a query: exact ----

CREATE TABLE found AS SELECT * FROM mlops_drift('drift', 'after', 'before');

-- PSI and Jensen-Shannon over the deciles of the reference (a value on a decile is below it), shares of at least 0.0001 for PSI
CREATE VIEW binned AS
WITH edge AS (SELECT DISTINCT unnest(percentile_cont(ARRAY[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]) WITHIN GROUP (ORDER BY used)) AS e FROM before),
     then_ AS (SELECT (SELECT count(*) FROM edge WHERE e < used) AS b, count(*)::float8 / 1200 AS p FROM before GROUP BY 1),
     now_ AS (SELECT (SELECT count(*) FROM edge WHERE e < used) AS b, count(*)::float8 / 1000 AS q FROM after GROUP BY 1)
SELECT b, coalesce(p, 0) AS p, coalesce(q, 0) AS q FROM then_ FULL JOIN now_ USING (b);
SELECT abs(psi / (SELECT sum((greatest(q, 0.0001) - greatest(p, 0.0001)) * ln(greatest(q, 0.0001) / greatest(p, 0.0001))) FROM binned) - 1) < 1e-12 AS psi,
       abs(js / (SELECT sum(CASE WHEN p > 0 THEN p * ln(2 * p / (p + q)) ELSE 0 END + CASE WHEN q > 0 THEN q * ln(2 * q / (p + q)) ELSE 0 END) / 2 FROM binned) - 1) < 1e-12 AS js
  FROM found WHERE feature = 'used';

-- the largest difference of the distribution functions, and the area between them
CREATE VIEW functions AS
WITH x AS (SELECT used AS x FROM before UNION SELECT used FROM after)
SELECT x, (SELECT count(*) FROM before WHERE used <= x) / 1200.0::float8 AS f, (SELECT count(*) FROM after WHERE used <= x) / 1000.0::float8 AS g, lead(x) OVER (ORDER BY x) - x AS width FROM x;
SELECT abs(ks - (SELECT max(abs(f - g)) FROM functions)) < 1e-12 AS ks, abs(wasserstein / (SELECT sum(abs(f - g) * width) FROM functions) - 1) < 1e-12 AS wasserstein
  FROM found WHERE feature = 'used';

-- Against the profile the area is off by half the sum, over the gaps between knots, of width times share of the values in
-- between at most, which is less than 1/512 of the range: a straight line and a function that rises, from the same point to the same
-- point, are farthest apart where it rises at one end at once. On "clumped" all values of a gap lie right behind its beginning,
-- so that these same values are found as far from themselves as the bound says; "skewed" and "even" are nearer.
CREATE TABLE wide AS
SELECT i AS id, (i / 20 + CASE WHEN i % 20 = 0 THEN 0 ELSE 0.001 + i % 20 * 1e-7 END)::float8 AS clumped, exp((i * 7919 % 5121) / 700.0)::float8 AS skewed,
       (i * 7919 % 5121)::float8 AS even, i % 2 = 0 AS label
  FROM generate_series(0, 5120) AS i;
SELECT mlops_train_now('drift_wide', 'wide', 'label', exclude => '{id}', algorithm => 'baseline', holdout => 0);
CREATE VIEW bound AS
SELECT feature, sum((knot[i + 1] - knot[i]) * (knot_upto[i + 1] - knot_equal[i + 1] - knot_upto[i])) / (2 * max(knot_upto[cardinality(knot)])) AS bound, max(maximum - minimum) AS range
  FROM mlops.training_profile, generate_series(1, cardinality(knot) - 1) AS i WHERE model = 'drift_wide' AND version = 1 AND role = 'feature' GROUP BY feature;
CREATE FUNCTION off_by(later text) RETURNS TABLE (feature text, far boolean, within boolean) LANGUAGE sql AS
$$ SELECT feature, abs(k.wasserstein - q.wasserstein) / bound > 0.9, abs(k.wasserstein - q.wasserstein) <= bound * (1 + 1e-9)
     FROM mlops_drift('drift_wide/1', later) AS k JOIN mlops_drift('drift_wide/1', later, 'wide') AS q USING (feature) JOIN bound USING (feature) ORDER BY 1 $$;
SELECT feature, bound < range / 512 AS below, bound > 0 AS not_exact FROM bound ORDER BY feature;
SELECT * FROM off_by('wide');
SELECT * FROM off_by('SELECT clumped + 0.5 AS clumped, skewed * 1.02 AS skewed, even + 3 AS even FROM wide');
SELECT bool_and(within) AS within, count(*) FROM generate_series(1, 40) AS n,
       off_by(format('SELECT clumped + %s AS clumped, skewed * %s AS skewed, even * %s AS even FROM wide WHERE id %% %s < 7', n / 10.0, 1 + n / 100.0, 1 - n / 200.0, n + 6));

-- of a category: chi-square of independence, and half the sum of the differences
CREATE VIEW levels AS
SELECT plan, count(*) FILTER (WHERE is_new) AS n, count(*) FILTER (WHERE NOT is_new) AS m, count(*) * 1000 / 2200.0 AS expected_n, count(*) * 1200 / 2200.0 AS expected_m
  FROM (SELECT plan, true AS is_new FROM after UNION ALL SELECT plan, false FROM before) AS r GROUP BY plan;
SELECT abs(chi_square / (SELECT sum((n - expected_n) ^ 2 / expected_n + (m - expected_m) ^ 2 / expected_m) FROM levels)::float8 - 1) < 1e-12 AS chi_square,
       df, abs(p_value / exp(-chi_square / 2) - 1) < 1e-9 AS p_value, abs(tvd - (SELECT sum(abs(n / 1000.0 - m / 1200.0)) / 2 FROM levels)) < 1e-12 AS tvd,
       abs(psi / (SELECT sum((n / 1000.0 - m / 1200.0) * ln((n / 1000.0) / (m / 1200.0))) FROM levels)::float8 - 1) < 1e-12 AS psi
  FROM found WHERE feature = 'plan';

-- the p-value of KS: Kolmogorov's series, of (sqrt(e) + 0.12 + 0.11 / sqrt(e)) D (Stephens 1970), e = 8 * 5 / (8 + 5)
SELECT mlops_train_now('drift_few', 'SELECT i AS x, i % 3 AS y FROM generate_series(1, 8) AS i', 'y', holdout => 0);
CREATE FUNCTION few(later float8[]) RETURNS TABLE (ks float8, p_value boolean) LANGUAGE sql AS
$$ SELECT ks, abs(p_value - (SELECT 2 * sum((-1) ^ (k - 1) * exp(-2 * k * k * l * l)) FROM generate_series(1, 10) AS k,
                                    (SELECT (sqrt(e) + 0.12 + 0.11 / sqrt(e)) * ks AS l FROM (SELECT (40 / 13.0)::float8 AS e) AS e) AS l)) < 1e-9
     FROM mlops_drift('drift_few/1', format('SELECT unnest(%L::int[]) AS x', later), 'SELECT i AS x FROM generate_series(1, 8) AS i', min_rows => 2) WHERE feature = 'x' $$;
SELECT * FROM few('{7, 8, 8, 8, 8}');
SELECT * FROM few('{6, 7, 8, 2, 3}');

-- as many as there are tests, the false discoveries stay a share (Benjamini & Hochberg): p n / rank, not below those of smaller p
SELECT bool_and(abs(p_adjusted - least) <= 1e-15 + 1e-9 * least) AS adjusted
  FROM (SELECT p_adjusted, min(p_value * n / rank) OVER (ORDER BY rank DESC) AS least
          FROM (SELECT p_adjusted, p_value, count(*) OVER () AS n, row_number() OVER (ORDER BY p_value, p_adjusted) AS rank FROM found WHERE p_value IS NOT NULL) AS r) AS q;

-- What is there, what is missing, what it is worth: a shift must be beyond chance, and large; and the model must look at it.
SELECT role, feature, n, n_reference, round(missing::numeric, 3) AS missing, round(missing_reference::numeric, 3) AS before, verdict, matters,
       round(importance::numeric, 2) AS importance, abs(impact - coalesce(importance, 1) * coalesce(ks, tvd)) < 1e-12 AS impact FROM found WHERE role <> 'all';
SELECT role, n, verdict, matters, reason, abs(impact - (SELECT sum(impact) FROM found WHERE role = 'feature' AND verdict <> 'ok')) < 1e-12 AS impact FROM found WHERE role = 'all';

-- ---- against the profile that the training kept ----

-- PSI, Jensen-Shannon and categories are the same as against the rows; KS is within one in 256 of it
SELECT bool_and(abs(p.psi - f.psi) < 1e-12 AND abs(p.js - f.js) < 1e-12) AS same, bool_and(abs(p.ks - f.ks) < 1 / 256.0) AS near, bool_and(p.chi_square IS NOT DISTINCT FROM f.chi_square) AS chi_square, count(*)
  FROM mlops_drift('drift', 'after') AS p JOIN found AS f USING (role, feature) WHERE role = 'feature';
-- the training rows themselves have not moved
SELECT count(*) AS columns, max(psi) < 1e-12 AS psi, max(ks) < 0.004 AS ks, bool_and(verdict = 'ok') AS ok FROM mlops_drift('drift', 'labelled_before') WHERE role <> 'all';
-- a label that comes along is compared too, under the name of the target
SELECT role, feature, n, round(ks::numeric, 3) AS ks, verdict FROM mlops_drift('drift', 'labelled_after') WHERE role = 'target';

-- ---- broken is not shifted ----

CREATE FUNCTION broken(source text) RETURNS TABLE (feature text, verdict text, matters boolean, reason text) LANGUAGE sql AS
'SELECT feature, verdict, matters, reason FROM mlops_drift(''drift'', source) WHERE role = ''feature'' AND verdict <> ''ok'' ORDER BY feature COLLATE "C"';
-- a feed that stops; for some of the rows; a number that is always the same
SELECT * FROM broken('SELECT NULL::float8 AS used, age, plan, spent, member FROM before');
SELECT * FROM broken('SELECT CASE WHEN id % 3 > 0 THEN used END AS used, age, plan, spent, member FROM before');
SELECT * FROM broken('SELECT 1.5::float8 AS used, age, plan, spent, member FROM before');
-- another unit, also of values that have moved a little
SELECT * FROM broken('SELECT used * 1000 AS used, age, plan, spent / 100 AS spent, member FROM before');
SELECT * FROM broken('SELECT used * 1.05 / 2.54 AS used, age, plan, spent, member FROM before');
SELECT * FROM broken('SELECT used, age * 1.8 + 32 AS age, plan, spent, member FROM (SELECT used, age::numeric, plan, spent, member FROM before) AS b') WHERE verdict = 'broken';
-- a thousand is likelier than 1024: few rows whose values have moved a little are of the former, many rows that 1000 does not fit of the latter
SELECT * FROM broken('SELECT spent * 1015 AS spent, used, age, plan, member FROM before WHERE id <= 300');
SELECT feature, verdict, reason FROM mlops_drift('drift', 'SELECT (500 + used) * 1024 AS used FROM before', 'SELECT 500 + used AS used FROM before') WHERE feature = 'used';
-- twice as much is no other unit
SELECT * FROM broken('SELECT used * 2 AS used, age, plan, spent, member FROM before');
SELECT * FROM broken('SELECT used / 2 AS used, age, plan, spent, member FROM before');
-- a category that vanishes; all new ones; some new ones
SELECT * FROM broken('SELECT used, age, plan, spent, member FROM before WHERE plan <> ''max''') WHERE feature = 'plan';
SELECT * FROM broken('SELECT used, age, upper(plan) AS plan, spent, member FROM before');
SELECT f.feature, f.verdict, round(f.unseen::numeric, 2) AS unseen FROM mlops_drift('drift', 'SELECT used, age, CASE WHEN id % 8 = 0 THEN ''gold'' ELSE plan END AS plan, spent, member FROM before') AS f WHERE feature = 'plan';
-- a column that is not there, or of another type, is a finding, not an error; there is no prediction then
SELECT * FROM broken('SELECT age::text AS age, plan, spent, member FROM before');
SELECT role, count(*) FROM mlops_drift('drift', 'SELECT age FROM before') GROUP BY role ORDER BY role;
-- and few rows say nothing
SELECT verdict, matters, reason, count(*) FROM mlops_drift('drift', 'SELECT * FROM after WHERE id <= 20') GROUP BY 1, 2, 3 ORDER BY 1, 3;
SELECT verdict, count(*) FROM mlops_drift('drift', 'SELECT * FROM after WHERE false') GROUP BY 1 ORDER BY 1;

-- Time goes on, which is no fault; a time that stops is.
SELECT mlops_train_now('drift_time', 'SELECT timestamp ''2026-01-01'' + id * interval ''1 hour'' AS at, ARRAY[used, age] AS vector, member AS churned FROM before', 'churned', algorithm => 'decision_tree', holdout => 0);
SELECT feature, kind, verdict, reason FROM mlops_drift('drift_time/1', 'SELECT timestamp ''2026-06-01'' + id * interval ''1 hour'' AS at, ARRAY[used, age] AS vector FROM before') WHERE role = 'feature' ORDER BY 1;
SELECT feature, kind, verdict, reason FROM mlops_drift('drift_time/1', 'SELECT NULL::timestamp AS at, ARRAY[used, 3000 * age] AS vector FROM before') WHERE role = 'feature' ORDER BY 1;

-- ---- the log ----

-- as it would have been written: a day like the training, a day of what came later, on which "spent" was lost
CREATE FUNCTION logged(source text, day date) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    EXECUTE format('INSERT INTO mlops_catalog.prediction (model, version, role, deployment, key, at, prediction, label, input) '
                   'SELECT ''drift'', 1, ''active'', 1, id::text, %L::date + id * interval ''1 second'', p, (p >= 0.5)::text, to_jsonb(r) FROM %s AS r, mlops_predict(''drift'', r) AS p', day, source);
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;
UPDATE mlops_catalog.model SET created_at = '2026-01-01' WHERE name = 'drift';
SELECT logged('before', '2026-05-01'), logged('(SELECT id, used, age, plan, NULL::numeric AS spent, member FROM after)', '2026-05-02');
SELECT role, feature, n, verdict FROM mlops_drift('drift', period => '1 day', as_of => '2026-05-02') WHERE role <> 'target';
SELECT role, feature, n, verdict, matters, reason FROM mlops_drift('drift', period => '1 day', as_of => '2026-05-03') WHERE role <> 'target';
-- what was logged is what came: the same as of the query
SELECT bool_and(l.psi IS NOT DISTINCT FROM q.psi AND l.ks IS NOT DISTINCT FROM q.ks AND l.missing = q.missing) AS same, count(*)
  FROM mlops_drift('drift', period => '1 day', as_of => '2026-05-02') AS l JOIN mlops_drift('drift', 'before') AS q USING (role, feature) WHERE role IN ('feature', 'prediction');
-- outcomes of the time are the target
INSERT INTO mlops_catalog.outcome (model, key, at, annotator, outcome) SELECT 'drift', id::text, timestamptz '2026-05-02' + id * interval '1 second', 'ann', churned::text FROM labelled_after;
SELECT role, feature, n, round(ks::numeric, 3) AS ks, verdict FROM mlops_drift('drift', period => '1 day', as_of => '2026-05-03') WHERE role = 'target';
-- of several outcomes of a key the one counts that the model's policy names: here the first is the truth, most say true, the last is false
BEGIN;
INSERT INTO mlops_catalog.outcome (model, key, at, annotator, outcome) SELECT 'drift', id::text, timestamptz '2026-05-02 10:00' + n * interval '1 hour', 'ben', (n < 3)::text FROM after, generate_series(0, 3) AS n;
CREATE FUNCTION target_drift(policy text, OUT n bigint, OUT ks float8) LANGUAGE plpgsql AS $$ BEGIN
    PERFORM mlops_set_model('drift', jsonb_build_object('outcome_policy', policy));
    SELECT d.n, d.ks INTO target_drift.n, target_drift.ks FROM mlops_drift('drift', period => '1 day', as_of => '2026-05-03') AS d WHERE role = 'target';
END $$;
SELECT policy, l.n = q.n AS n, l.ks = q.ks AS as_of_a_query
  FROM (VALUES ('first', 'churned'), ('majority', 'true'), ('latest', 'false'), (NULL, 'false')) AS p (policy, label), LATERAL target_drift(policy) AS l,
       LATERAL mlops_drift('drift', format('SELECT id, used, age, plan, spent, member, %s AS churned FROM labelled_after', label)) AS q WHERE q.role = 'target';
ROLLBACK;
-- a monitor sees the same, day by day: nothing on the first, what has changed on the second
SELECT mlops_set_monitor('drift', 'inputs', 'drift', 0.1, consecutive => 1), mlops_set_monitor('drift', 'spent', 'broken', feature => 'spent');
CALL mlops_tick('2026-05-02');
CALL mlops_tick('2026-05-03');
SELECT monitor, since::date, verdict, round(value::numeric, 3) AS value, n, version, note FROM mlops.monitor_period WHERE model = 'drift' ORDER BY monitor, since;
SELECT monitor, what, state FROM mlops.alert WHERE model = 'drift';

-- without logged inputs the prediction is what is left
UPDATE mlops_catalog.prediction SET input = NULL WHERE model = 'drift';
SELECT role, verdict, count(*), max(n) AS n FROM mlops_drift('drift', period => '1 day', as_of => '2026-05-03') WHERE role IN ('feature', 'prediction') GROUP BY role, verdict ORDER BY role;

-- ---- what was counted of calls ----

-- Where nothing was logged, the counts of serving statistics are compared, in the bins and levels of the profile:
-- as they would have been written for the 1st of June (as the training) and the 2nd.
CREATE FUNCTION counted(source text, day date) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    EXECUTE format('INSERT INTO mlops_catalog.serving_histogram (model, since, version, role, subject, feature, until, counted_at, kind, rows, missing, binned, bin_low, bin_high, bin_rows, level, level_rows, other_rows) '
                   'SELECT model, %1$L, version, ''active'', ''feature'', feature, %1$L::date + 1, %1$L::date + 1, kind, (SELECT count(*) FROM %2$s AS c), 0, (SELECT count(*) FROM %2$s AS c), bin_low, bin_high, '
                   'CASE feature WHEN ''used'' THEN ARRAY(SELECT (SELECT count(*) FROM %2$s AS c WHERE CASE WHEN used < bin_low THEN 0 WHEN used > bin_high THEN 65 ELSE least(1 + floor((used - bin_low) * (64 / (bin_high - bin_low))), 64) END = b) FROM generate_series(0, 65) AS b) END, '
                   'level, CASE feature WHEN ''plan'' THEN ARRAY(SELECT (SELECT count(*) FROM %2$s AS c WHERE plan = l) FROM unnest(level) WITH ORDINALITY AS v (l, i) ORDER BY i) END, '
                   'CASE feature WHEN ''plan'' THEN (SELECT count(*) FROM %2$s AS c WHERE plan <> ALL (level)) END '
                   'FROM mlops.training_profile WHERE model = ''drift'' AND version = 1 AND feature IN (''used'', ''plan'')', day, source);
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;
DELETE FROM mlops_catalog.prediction WHERE model = 'drift';
SELECT counted('before', '2026-06-01'), counted('after', '2026-06-02'), counted('(SELECT used * 1000 AS used, CASE plan WHEN ''max'' THEN ''gold'' ELSE plan END AS plan FROM before)', '2026-06-03');
SELECT feature, n, round(psi::numeric, 9) AS psi, round(coalesce(ks, tvd)::numeric, 9) AS effect, verdict FROM mlops_drift('drift', period => '1 day', as_of => '2026-06-02') WHERE feature IN ('used', 'plan');
-- KS is the largest difference where bins meet, which is that of the rows but for a part of one bin; levels are exact
SELECT d.feature, d.n, d.ks <= f.ks AND d.ks > f.ks - 0.03 AS ks, d.psi BETWEEN 0.5 * f.psi AND 2 * f.psi AS psi, d.mean BETWEEN f.mean_reference + 5 AND f.mean AS mean, d.chi_square = f.chi_square AS chi_square, d.verdict, d.matters
  FROM mlops_drift('drift', period => '1 day', as_of => '2026-06-03') AS d JOIN found AS f USING (role, feature) WHERE d.feature IN ('used', 'plan');
-- and the area, where nothing lies beyond all bins, is off by a bin's width at most: here all values of now are just above where bins begin
SELECT counted('(SELECT (bin_low + floor((used - bin_low) * 0.9 / w) * w + 0.001) AS used, plan FROM before, (SELECT bin_low, (bin_high - bin_low) / 64 AS w FROM mlops.training_profile WHERE model = ''drift'' AND feature = ''used'') AS p)', '2026-06-10');
SELECT abs(d.wasserstein - f.wasserstein) <= w AS within, abs(d.wasserstein - f.wasserstein) > w / 4 AS off
  FROM (SELECT (bin_high - bin_low) / 64 AS w FROM mlops.training_profile WHERE model = 'drift' AND feature = 'used') AS p, mlops_drift('drift', period => '1 day', as_of => '2026-06-11') AS d
  JOIN mlops_drift('drift', 'SELECT id, age, plan, spent, member, (bin_low + floor((used - bin_low) * 0.9 / w) * w + 0.001) AS used FROM before, (SELECT bin_low, (bin_high - bin_low) / 64 AS w FROM mlops.training_profile WHERE model = ''drift'' AND feature = ''used'') AS p', 'before') AS f USING (role, feature) WHERE feature = 'used';
-- what lies beyond all bins was of another unit, probably
SELECT feature, unseen, verdict, reason FROM mlops_drift('drift', period => '1 day', as_of => '2026-06-04') WHERE feature IN ('used', 'plan');
-- of three days
SELECT feature, n FROM mlops_drift('drift', period => '3 days', as_of => '2026-06-04') WHERE feature IN ('used', 'plan');
DELETE FROM mlops_catalog.serving_histogram WHERE model = 'drift';

SELECT mlops_drop_model('drift', force => true), mlops_drop_model('drift_few'), mlops_drop_model('drift_time'), mlops_drop_model('drift_wide');
DROP SCHEMA drift_test CASCADE;
