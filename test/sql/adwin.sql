-- mlops_adwin(): where the mean of values changed, in the order in which they come (ADWIN2: Bifet & Gavalda 2007).
-- test/unit/test_adwin.c holds it against its theorems.

SET client_min_messages = warning;
\set SHOW_CONTEXT never

-- 1 error in 10, then 4 in 10: one change, found when the 4 in 10 have been seen for a while
SELECT (a).changes, (a).changed_at BETWEEN 700 AND 1100 AS near, (a).found_at BETWEEN 1001 AND 1150 AS soon, abs((a).before - 0.1) < 0.02 AS before, abs((a).after - 0.4) < 0.05 AS after,
       (a).width = 2000 - (a).changed_at + 1 AS since, (a).n
  FROM (SELECT mlops_adwin((i % 10 < CASE WHEN i <= 1000 THEN 1 ELSE 4 END)::int ORDER BY i) AS a FROM generate_series(1, 2000) AS i) AS s;

-- none: the whole is the window
SELECT (a).* FROM (SELECT mlops_adwin((i % 10 = 0)::int ORDER BY i) AS a FROM generate_series(1, 2000) AS i) AS s;

-- a larger delta sees more, and sooner
SELECT (strict).found_at > (bold).found_at AS sooner
  FROM (SELECT mlops_adwin((i % 10 < CASE WHEN i <= 1000 THEN 1 ELSE 3 END)::int, 0.0001 ORDER BY i) AS strict,
               mlops_adwin((i % 10 < CASE WHEN i <= 1000 THEN 1 ELSE 3 END)::int, 0.2 ORDER BY i) AS bold FROM generate_series(1, 2000) AS i) AS s;

-- three steps are three changes, and values need not be shares; a step down is one too
SELECT (a).changes, round((a).before) AS before, round((a).after) AS after
  FROM (SELECT mlops_adwin(CASE i / 1000 WHEN 0 THEN 100 WHEN 1 THEN 200 WHEN 2 THEN 900 ELSE 50 END + i % 7 ORDER BY i) AS a FROM generate_series(0, 3999) AS i) AS s;

-- group by group; while it goes on
SELECT half, (mlops_adwin((i > 300)::int ORDER BY i)).changes FROM generate_series(1, 600) AS i, LATERAL (SELECT i % 2 AS half) AS h GROUP BY half ORDER BY half;
SELECT min(i) BETWEEN 301 AND 330 AS soon FROM (SELECT i, mlops_adwin((i > 300)::int) OVER (ORDER BY i) AS a FROM generate_series(1, 600) AS i) AS s WHERE (a).changes > 0;

-- nothing, NULLs, and what is no error
SELECT mlops_adwin(x) IS NULL AS nothing FROM (SELECT 1.0::float8 WHERE false) AS s (x);
SELECT (mlops_adwin(x ORDER BY i)).n FROM (VALUES (1, 0.5), (2, NULL), (3, 0.5)) AS v (i, x);
SELECT mlops_adwin('NaN'::float8);
SELECT mlops_adwin('-Infinity'::float8);
SELECT mlops_adwin(1, 0);
SELECT mlops_adwin(1, 1);
SELECT mlops_adwin(1, NULL);

-- The error of a model, as outcomes come in: 900 right answers, then one in three is wrong.
CREATE SCHEMA adwin_test;
SET search_path = adwin_test;
CREATE TABLE customer AS SELECT i AS id, (i * 7919 % 1009) / 1009.0 AS used, (i * 7919 % 1009) / 1009.0 > 0.5 AS churned FROM generate_series(1, 1500) AS i;
SELECT mlops_train_now('live_change', 'customer', 'churned', features => '{used}', algorithm => 'decision_tree');
SELECT * FROM mlops_live_error_change('live_change');
SET client_min_messages = error;
SELECT version FROM mlops_promote('live_change', 1);
SET client_min_messages = warning;
UPDATE mlops_catalog.model SET created_at = '2026-01-01' WHERE name = 'live_change';
SELECT version, changes, before, after, since, n FROM mlops_live_error_change('live_change', as_of => '2026-05-01');
INSERT INTO mlops_catalog.prediction (model, version, role, deployment, key, at, prediction, label)
SELECT 'live_change', 1, 'active', 1, id::text, timestamptz '2026-04-01 UTC' + id * interval '1 minute', p, (p >= 0.5)::text
  FROM customer AS c, mlops_predict('live_change', c) AS p;
INSERT INTO mlops_catalog.outcome (model, key, at, annotator, outcome)
SELECT 'live_change', id::text, timestamptz '2026-04-02 12:00 UTC', 'ann', (CASE WHEN id > 900 AND id % 3 = 0 THEN NOT churned ELSE churned END)::text FROM customer;
SELECT version, changes, changed_at BETWEEN '2026-04-01 13:20+00' AND '2026-04-01 15:10+00' AS near, found_at > '2026-04-01 15:00+00' AND found_at < '2026-04-01 17:00+00' AS soon,
       before < 0.02 AS before, abs(after - 0.33) < 0.05 AS after, n
  FROM mlops_live_error_change('live_change', as_of => '2026-04-03');
-- of several outcomes of an answer the one counts that the model's policy names: the first are those from above, most are right, the last wrong
BEGIN;
INSERT INTO mlops_catalog.outcome (model, key, at, annotator, outcome)
SELECT 'live_change', id::text, timestamptz '2026-04-02 13:00 UTC' + n * interval '1 hour', 'ben', (churned = (n < 3))::text FROM customer, generate_series(0, 3) AS n;
CREATE FUNCTION error_now(policy text, OUT after float8, OUT n bigint) LANGUAGE plpgsql AS $$ BEGIN
    PERFORM mlops_set_model('live_change', jsonb_build_object('outcome_policy', policy));
    SELECT c.after, c.n INTO error_now.after, error_now.n FROM mlops_live_error_change('live_change', as_of => '2026-04-03') AS c;
END $$;
SELECT policy, round(after::numeric, 1) AS after, n FROM unnest('{first,majority,latest,NULL}'::text[]) AS policy, error_now(policy);
ROLLBACK;
-- as it was known before the outcomes came
SELECT changes, n FROM mlops_live_error_change('live_change', as_of => '2026-04-02');

-- of numbers it is the mean distance
SELECT mlops_train_now('live_number', 'SELECT used, 10 * used AS spent FROM customer', 'spent');
SET client_min_messages = error;
SELECT version FROM mlops_promote('live_number', 1);
SET client_min_messages = warning;
UPDATE mlops_catalog.model SET created_at = '2026-01-01' WHERE name = 'live_number';
INSERT INTO mlops_catalog.prediction (model, version, role, deployment, key, at, prediction)
SELECT 'live_number', 1, 'active', 1, id::text, timestamptz '2026-04-01 UTC' + id * interval '1 minute', 10 * used FROM customer;
INSERT INTO mlops_catalog.outcome (model, key, at, annotator, outcome)
SELECT 'live_number', id::text, timestamptz '2026-04-02 12:00 UTC', 'ann', (10 * used + CASE WHEN id > 900 THEN 3 ELSE 1 END * (id % 2 * 2 - 1))::text FROM customer;
SELECT changes, round(before::numeric, 1) AS before, round(after::numeric, 1) AS after FROM mlops_live_error_change('live_number', as_of => '2026-04-03');

-- for those who may read the model
CREATE ROLE adwin_stranger;
SET ROLE adwin_stranger;
SELECT * FROM mlops_live_error_change('live_change');
RESET ROLE;
SELECT * FROM mlops_live_error_change('nobody');
DROP ROLE adwin_stranger;
DELETE FROM mlops_catalog.prediction WHERE model LIKE 'live_%';
SELECT mlops_drop_model('live_change', force => true), mlops_drop_model('live_number', force => true);
DROP SCHEMA adwin_test CASCADE;
