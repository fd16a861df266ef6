-- A year of a subscription business, the same on every machine: 12,000 customers
-- who joined in 2025, what was known of each after a month, and whether the
-- customer left within the three months after that.
--
-- Behaviour changes with the price rise of October: from then on the fee drives
-- people away, and paying by standing order no longer keeps them.

CREATE FUNCTION pg_temp.draw(n integer, what text) RETURNS float8
LANGUAGE sql IMMUTABLE AS $$
    SELECT ('x' || substr(md5(n || what), 1, 8))::bit(32)::bigint / 4294967296.0
$$;

CREATE TABLE customer (
    customer_id  integer PRIMARY KEY,
    joined       date NOT NULL,
    plan         text NOT NULL,
    country      text,
    age          integer,
    seats        smallint NOT NULL,
    monthly_fee  numeric(7,2) NOT NULL,
    weekly_hours float8,
    tickets      integer NOT NULL,
    autopay      boolean NOT NULL,
    channel      text,
    churned      boolean
);

WITH who AS (
    SELECT n,
           date '2025-01-01' + n * 365 / 12001 AS joined,
           CASE WHEN pg_temp.draw(n, 'plan') < 0.55 THEN 'basic'
                WHEN pg_temp.draw(n, 'plan') < 0.85 THEN 'plus' ELSE 'pro' END AS plan,
           (ARRAY['DE', 'DE', 'DE', 'FR', 'FR', 'ES', 'IT', 'NL', 'PL', 'AT', NULL, 'IS'])
               [1 + floor(12 * pg_temp.draw(n, 'country') * CASE WHEN n % 40 = 0 THEN 1 ELSE 0.91 END)] AS country,
           CASE WHEN pg_temp.draw(n, 'no age') > 0.08 THEN 18 + floor(52 * pg_temp.draw(n, 'age') ^ 1.3)::integer END AS age,
           (1 + floor(-1.5 * ln(1 - 0.98 * pg_temp.draw(n, 'seats'))))::smallint AS seats,
           CASE WHEN pg_temp.draw(n, 'no use') > 0.06 THEN round((-6 * ln(1 - 0.99 * pg_temp.draw(n, 'hours')))::numeric, 1)::float8 END AS weekly_hours,
           floor(-0.9 * ln(1 - 0.995 * pg_temp.draw(n, 'tickets')))::integer AS tickets,
           pg_temp.draw(n, 'autopay') < 0.45 AS autopay,
           (ARRAY['search', 'search', 'friend', 'advert', 'advert', NULL])[1 + floor(6 * pg_temp.draw(n, 'channel'))] AS channel
      FROM generate_series(1, 12000) AS n
), paying AS (
    SELECT *, joined >= '2025-10-01' AS dearer,
           round((CASE plan WHEN 'basic' THEN 9.9 WHEN 'plus' THEN 19.9 ELSE 39.9 END
                  * (1 + 0.25 * (seats - 1))
                  * (1 - 0.2 * pg_temp.draw(n, 'discount'))
                  * CASE WHEN joined >= '2025-10-01' THEN 1.3 ELSE 1 END)::numeric, 2) AS monthly_fee
      FROM who
)
INSERT INTO customer
SELECT n, joined, plan, country, age, seats, monthly_fee, weekly_hours, tickets, autopay, channel,
       pg_temp.draw(n, 'leaves') < 1 / (1 + exp(
             0.6
           - CASE plan WHEN 'basic' THEN 1.0 WHEN 'plus' THEN 0.3 ELSE 0 END
           - 0.55 * tickets
           + 0.22 * coalesce(weekly_hours, -3)
           + CASE WHEN autopay AND NOT dearer THEN 1.2 ELSE 0 END
           - CASE channel WHEN 'advert' THEN 0.7 WHEN 'friend' THEN -0.5 ELSE 0 END
           + 0.012 * (coalesce(age, 40) - 40)
           - CASE WHEN dearer THEN 0.11 * (monthly_fee - 12) ELSE 0 END))
  FROM paying;

ANALYZE customer;

-- where demo.sql draws the lines: older customers, those of late, the newest
\set early '2025-10-01'
\set late '2025-12-01'
-- for the validation set: its window and slices, the day of its last refresh; what a partner gets wrong, and of whom
\set period '3 months'
\set slices '{plan,channel}'
\set last '2026-01-01'
\set partner 'friends of customers'
\set flipped 'channel = ''friend'' AND customer_id % 3 > 0'
-- the rule that is put on top; what the canary is trained with
\set rules '[{"name": "told us", "when": "tickets >= 3", "then": {"clip": [0.6, 1]}}]'
\set challenger random_forest
