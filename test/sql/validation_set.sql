-- A validation set holds the labelled rows of the period before a refresh,
-- [as_of - label_delay - period, as_of - label_delay). A refresh reads again
-- what can have changed since the last one, merges by key, lets go of what fell
-- out of the window, and makes an edition. It reads the new rows, not the window.
CREATE SCHEMA ml_validation_set;
SET search_path = ml_validation_set;
SET timezone = 'UTC';
SET client_min_messages = warning;
-- an order every 12 hours; day d has the orders 2d - 1 and 2d
CREATE TABLE orders AS
SELECT i AS id, timestamptz '2026-01-01' + (i - 1) * interval '12 hours' AS at,
       (ARRAY['post', 'web'])[1 + i % 2] AS channel, i % 3 = 0 AS returned
  FROM generate_series(1, 120) AS i;
SELECT mlops_create_model('returns', target => 'returned');
SELECT mlops_create_validation_set('returns', 'recent', 'orders', key => 'id', time_column => 'at', period => '10 days');

-- a set has no edition until its first refresh
SELECT edition, rows FROM mlops.validation_set WHERE model = 'returns';
SELECT mlops_edition('returns', 'recent');
SELECT edition, rows, rows_in, rows_out, kept, rows_read
  FROM mlops_refresh_validation_set('returns', 'recent', '2026-01-21');
SELECT min(e ->> 'at') AS first, max(e ->> 'at') AS last, count(*) FROM mlops_edition('returns', 'recent') AS e;

-- two days later: four rows came, four fell out; read were the new ones and a day of lateness
SELECT edition, rows, rows_in, rows_out, kept, rows_read
  FROM mlops_refresh_validation_set('returns', 'recent', '2026-01-23');
-- the same moment again changes nothing, but is an edition of its own
SELECT edition, rows, rows_in, rows_out, kept
  FROM mlops_refresh_validation_set('returns', 'recent', '2026-01-23');

-- a row that changed leaves and enters again; one that vanished leaves; one that is late enters
UPDATE orders SET returned = NOT returned WHERE id = 43;
DELETE FROM orders WHERE id = 44;
INSERT INTO orders VALUES (1000, '2026-01-22 18:00+00', 'web', true);
SELECT edition, rows, rows_in, rows_out, kept
  FROM mlops_refresh_validation_set('returns', 'recent', '2026-01-23');
SELECT count(*) FILTER (WHERE e ->> 'id' = '43' AND e ->> 'returned' = 'true') AS changed,
       count(*) FILTER (WHERE e ->> 'id' = '44') AS vanished,
       count(*) FILTER (WHERE e ->> 'id' = '1000') AS late
  FROM mlops_edition('returns', 'recent') AS e;
-- what is older than the lateness is not read again: the change stays unseen
UPDATE orders SET channel = 'shop' WHERE id = 30;
SELECT rows_in, rows_out FROM mlops_refresh_validation_set('returns', 'recent', '2026-01-23');
-- a row that moves to a later time is in the set once
UPDATE orders SET at = '2026-01-22 20:00+00' WHERE id = 31;
SELECT rows_in, rows_out FROM mlops_refresh_validation_set('returns', 'recent', '2026-01-23');
SELECT count(*) FROM mlops_edition('returns', 'recent') AS e WHERE e ->> 'id' = '31';

-- label_delay keeps out rows whose label could not have been known yet
SELECT mlops_create_validation_set('returns', 'known', 'orders', key => 'id', time_column => 'at', period => '10 days',
                                   label_delay => '14 days');
SELECT rows FROM mlops_refresh_validation_set('returns', 'known', '2026-01-31');
SELECT time_from, time_to FROM mlops.edition WHERE validation_set = 'known';

-- dates, timestamps without a zone, and integers are times too; an integer counts time units
SELECT mlops_create_validation_set('returns', 'by date', 'SELECT id, at::date AS day, returned FROM orders WHERE id < 1000',
                                   key => 'id', time_column => 'day', period => '10 days');
SELECT mlops_create_validation_set('returns', 'by timestamp', 'SELECT id, at::timestamp AS at, returned FROM orders WHERE id < 1000',
                                   key => 'id', time_column => 'at', period => '10 days');
SELECT mlops_create_validation_set('returns', 'by number', 'SELECT id, returned FROM orders WHERE id < 1000',
                                   key => 'id', time_column => 'id', period => '10 days',
                                   time_unit => '12 hours', time_origin => '2025-12-31 12:00+00');
SELECT name, (mlops_refresh_validation_set('returns', name, '2026-02-10')).rows,
       (mlops_refresh_validation_set('returns', name, '2026-02-12')).rows_in
  FROM unnest(ARRAY['by date', 'by timestamp', 'by number']) AS name ORDER BY name;
SELECT time_from, time_to FROM mlops.edition WHERE validation_set = 'by number' ORDER BY edition;

-- without a time column every refresh reads all
SELECT mlops_create_validation_set('returns', 'all', 'SELECT id, channel, returned FROM orders WHERE id <= 60', key => 'id');
SELECT rows, rows_in, rows_out FROM mlops_refresh_validation_set('returns', 'all');
UPDATE orders SET returned = true WHERE id IN (1, 2, 3);
SELECT rows, rows_in, rows_out, rows_read FROM mlops_refresh_validation_set('returns', 'all');

-- a frozen set has the rows of the moment in which it was made
SELECT mlops_create_validation_set('returns', 'frozen', 'SELECT id, channel, returned FROM orders WHERE id <= 60', key => 'id',
                                   frozen => true);
SELECT edition, rows FROM mlops.validation_set WHERE name = 'frozen';
SELECT mlops_refresh_validation_set('returns', 'frozen');

-- within max_rows rows are sampled, and weigh what they stand for
INSERT INTO orders SELECT 2000 + i, timestamptz '2026-03-01' + i * interval '1 minute', 'web', i % 50 = 0 FROM generate_series(0, 9999) AS i;
SELECT mlops_create_validation_set('returns', 'sample', 'orders', key => 'id', time_column => 'at', period => '7 days',
                                   max_rows => 500, min_rows => 100);
SELECT rows <= 500 AS within, rows > 450 AS full_enough, rows_read FROM mlops_refresh_validation_set('returns', 'sample', '2026-03-07 22:40+00');
SELECT abs(sum((e ->> 'mlops_weight')::float8) - 10002) < 0.001 AS weights_are_the_window,
       count(*) FILTER (WHERE e ->> 'returned' = 'true') >= 100 AS minimum_of_the_rare_class,
       abs(sum((e ->> 'mlops_weight')::float8) FILTER (WHERE e ->> 'returned' = 'true') - 201) < 0.001 AS which_weighs_what_it_is
  FROM mlops_edition('returns', 'sample') AS e;

-- the model takes its sets along
SELECT mlops_drop_validation_set('returns', 'known');
SELECT count(*) FROM mlops.validation_set WHERE model = 'returns';
SELECT mlops_drop_model('returns');
SELECT count(*) FROM pg_tables WHERE schemaname = 'mlops_data';
DROP SCHEMA ml_validation_set CASCADE;
