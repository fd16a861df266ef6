-- mlops_profile says what training would make of every column of a table or
-- query, before any fitting: numbers stay numbers, text and enums become
-- categories, times become seconds and places on the circles of day, week and
-- year. What training would refuse is a row like any other, with advice.
-- Warnings name columns that tell nothing, or too much: one that alone
-- predicts the target nearly perfectly was mostly written after it was known.

CREATE SCHEMA profile_test;
SET search_path = profile_test;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';

CREATE TYPE size AS ENUM ('small', 'medium', 'large');
CREATE DOMAIN percent AS numeric CHECK (VALUE BETWEEN 0 AND 100);
CREATE TABLE customers AS
SELECT i AS id,
       (i * 37 % 100) / 4.0::float8 AS usage,
       (i * 13 % 101)::percent AS discount,
       CASE WHEN i % 4 <> 0 THEN (i * 7 % 60)::smallint END AS age,
       (ARRAY['basic', 'pro', 'team'])[i % 3 + 1] AS plan,
       (ARRAY['small', 'medium', 'large'])[i * 11 % 7 % 3 + 1]::size AS size,
       date '2024-01-01' + i AS signup,
       timestamptz '2025-03-01 00:00+00' + i * interval '1 hour' AS last_seen,
       ARRAY[i % 5, i % 7, i % 11]::real[] AS embedding,
       i * 29 % 10 < 3 AS churned
  FROM generate_series(1, 400) AS i;

-- every column in words
SELECT column_name, type, becomes, nulls, distinct_values, minimum, maximum
  FROM mlops_profile('customers', 'churned');

-- an integer that never repeats is suspected to be an identifier; the rest is in order
SELECT column_name, warnings FROM mlops_profile('customers', 'churned') WHERE warnings <> '{}';

-- the source can be a query, and the target can be left out
SELECT column_name, becomes, rows, mean = 12.375 AS mean_is_right
  FROM mlops_profile('SELECT usage FROM customers WHERE id <= 200');

-- values in fewer than five rows share one place
SELECT column_name, becomes
  FROM mlops_profile($$SELECT CASE WHEN id <= 9 THEN 'rare ' || id / 4 ELSE plan END AS plan FROM customers$$);

-- parts of times are used where the rows show enough of them
SELECT column_name, becomes
  FROM mlops_profile($$SELECT timestamp '2025-01-01 08:00' + i * interval '1 day' AS same_hour_of_ten_days,
                              timestamp '2025-01-01 08:00' + i * interval '7 days' AS same_weekday,
                              timestamp '2020-01-01 08:00' + i * interval '1000 hours' AS years,
                              time '08:00' + i * interval '1 hour' AS time_of_day,
                              i * interval '1 day' AS length
                         FROM generate_series(1, 10) AS i$$);

-- the hour of a timestamptz is that of the wall clock in the session's time
-- zone: every 24 hours is always the same hour in UTC, but not in Berlin when
-- summer time begins (30 March 2025)
SELECT becomes FROM mlops_profile($$SELECT '2025-03-25 22:00+00'::timestamptz + i * interval '24 hours' AS at
                                      FROM generate_series(1, 10) AS i$$);
SET TimeZone = 'Europe/Berlin';
SELECT becomes FROM mlops_profile($$SELECT '2025-03-25 22:00+00'::timestamptz + i * interval '24 hours' AS at
                                      FROM generate_series(1, 10) AS i$$);
SET TimeZone = 'UTC';

-- columns that training would refuse, or that tell it nothing
SELECT column_name, becomes, warnings
  FROM mlops_profile($$SELECT 'note ' || id AS note, '\x00'::bytea AS photo, row(id, plan) AS pair,
                              NULL::int AS never, 1.5 AS always,
                              CASE WHEN id % 10 < 3 THEN usage END AS seldom,
                              CASE WHEN id % 100 = 7 THEN 'NaN' WHEN id % 100 = 9 THEN 'Infinity' ELSE usage END AS broken
                         FROM customers$$);

-- leak suspects: of a number, of two classes, of several; a category, and being NULL
CREATE TABLE leaks AS
SELECT id, usage, usage * 3 + 1 AS usage_in_cents, plan,
       CASE plan WHEN 'basic' THEN 'A' WHEN 'pro' THEN 'B' ELSE 'C' END AS tariff,
       churned, CASE WHEN churned THEN 50 + age ELSE age % 40 END AS score,
       CASE WHEN churned THEN signup END AS cancelled_on
  FROM customers;
SELECT column_name, warnings FROM mlops_profile('SELECT usage, usage_in_cents, plan FROM leaks', 'usage')
 WHERE warnings <> '{}';
SELECT column_name, warnings FROM mlops_profile('SELECT plan, tariff, usage FROM leaks', 'plan')
 WHERE warnings <> '{}';
SELECT column_name, warnings FROM mlops_profile('SELECT churned, score, cancelled_on, plan FROM leaks', 'churned')
 WHERE warnings <> '{}';

-- targets: two integers ask for classes; a constant or unusable one is told
SELECT becomes, warnings FROM mlops_profile('SELECT churned::int AS y, usage FROM customers', 'y') WHERE column_name = 'y';
SELECT becomes, warnings FROM mlops_profile('SELECT plan AS y, usage FROM customers', 'y') WHERE column_name = 'y';
SELECT becomes, warnings FROM mlops_profile('SELECT 7 AS y, usage FROM customers', 'y') WHERE column_name = 'y';
SELECT becomes, warnings FROM mlops_profile('SELECT signup AS y, usage FROM customers', 'y') WHERE column_name = 'y';
SELECT becomes, warnings FROM mlops_profile('SELECT NULL::text AS y, usage FROM customers', 'y') WHERE column_name = 'y';
SELECT becomes, warnings FROM mlops_profile('SELECT age AS y, usage FROM customers', 'y') WHERE column_name = 'y';

-- rows that repeat are told with the target, or with the first column
SELECT column_name, warnings FROM mlops_profile('SELECT plan, churned FROM customers', 'churned') WHERE warnings <> '{}';
SELECT column_name, warnings FROM mlops_profile('SELECT plan, size FROM customers') WHERE warnings <> '{}';

-- no rows are no error
SELECT column_name, becomes, rows, warnings FROM mlops_profile('SELECT usage, plan, churned FROM customers WHERE false', 'churned');

-- refused
SELECT * FROM mlops_profile('customers', 'churn');
SELECT * FROM mlops_profile(NULL);
SELECT * FROM mlops_profile('nobody');
SELECT * FROM mlops_profile('DELETE FROM customers');

-- what predictions are measured by
SELECT metric, tasks, higher_is_better, minimum, maximum FROM mlops_metrics();

SET client_min_messages = warning;
DROP SCHEMA profile_test CASCADE;
