-- What a validation set cannot be, and what goes wrong with one, is said with
-- what was found and what to do. A refresh that fails leaves the newest edition as it is.
CREATE SCHEMA ml_set_errors;
SET search_path = ml_set_errors;
SET timezone = 'UTC';
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE TABLE visit AS SELECT i AS n, timestamptz '2026-01-01' + i * interval '1 hour' AS at, i AS hour, i % 7 AS pages, i % 3 = 0 AS bought
  FROM generate_series(1, 500) AS i;
SELECT mlops_create_model('buys', target => 'bought');

-- the model, the name
SELECT mlops_create_validation_set('bys', 'recent', 'visit', key => 'n');
SELECT mlops_create_validation_set('buys', 'a/b', 'visit', key => 'n');
SELECT mlops_create_validation_set('buys', NULL, 'visit', key => 'n');
-- the columns
SELECT mlops_create_validation_set('buys', 'recent', 'visit');
SELECT mlops_create_validation_set('buys', 'recent', 'visit', key => 'm');
SELECT mlops_create_validation_set('buys', 'recent', 'visit', key => 'n', target => 'bougth');
SELECT mlops_create_validation_set('buys', 'recent', 'visit', key => 'n', time_column => 'when', period => '7 days');
SELECT mlops_create_validation_set('buys', 'recent', 'visit', key => 'n', stratify_by => '{page}');
SELECT mlops_create_validation_set('buys', 'recent', 'SELECT *, 1 AS pinned FROM visit', key => 'n');
SELECT mlops_create_validation_set('buys', 'recent', 'SELECT *, 1 AS mlops_weight FROM visit', key => 'n');
SELECT mlops_create_validation_set('buys', 'recent', 'SELECT n, n, bought FROM visit', key => 'n');
SELECT mlops_create_validation_set('buys', 'recent', 'SELECT n, bought, ROW(1, 2) AS r FROM visit', key => 'n');
-- time
SELECT mlops_create_validation_set('buys', 'recent', 'visit', key => 'n', time_column => 'bought', period => '7 days');
SELECT mlops_create_validation_set('buys', 'recent', 'visit', key => 'n', time_column => 'at');
SELECT mlops_create_validation_set('buys', 'recent', 'visit', key => 'n', time_column => 'at', period => '0');
SELECT mlops_create_validation_set('buys', 'recent', 'visit', key => 'n', time_column => 'at', period => '-7 days');
SELECT mlops_create_validation_set('buys', 'recent', 'visit', key => 'n', time_column => 'at', period => '7 days', label_delay => '-1 day');
SELECT mlops_create_validation_set('buys', 'recent', 'visit', key => 'n', period => '7 days');
SELECT mlops_create_validation_set('buys', 'recent', 'visit', key => 'n', time_column => 'hour', period => '7 days');
SELECT mlops_create_validation_set('buys', 'recent', 'visit', key => 'n', time_column => 'hour', period => '7 days', time_unit => '1 month');
SELECT mlops_create_validation_set('buys', 'recent', 'visit', key => 'n', time_column => 'at', period => '7 days', time_unit => '1 hour');
-- numbers
SELECT mlops_create_validation_set('buys', 'recent', 'visit', key => 'n', max_rows => 99);
SELECT mlops_create_validation_set('buys', 'recent', 'visit', key => 'n', max_rows => 9223372036854775807);
SELECT mlops_create_validation_set('buys', 'recent', 'visit', key => 'n', max_rows => 100, min_rows => 101);
-- the source
SELECT mlops_create_validation_set('buys', 'recent', 'visits', key => 'n');
SELECT mlops_create_validation_set('buys', 'recent', 'DELETE FROM visit', key => 'n');
-- a model that predicts numbers has numbers as labels
SET client_min_messages = error;
SELECT mlops_train_now('length', 'SELECT pages, hour FROM visit', 'hour') AS version;
SELECT mlops_create_validation_set('length', 'recent', 'SELECT n, pages, hour::text AS hour FROM visit', key => 'n');
SET client_min_messages = warning;

-- strata take memory as rows do, and count in the same limit
SELECT mlops_create_validation_set('buys', 'strata', 'SELECT i AS n, i % 7 AS pages, i % 2 = 0 AS bought FROM generate_series(1, 4000) AS i', key => 'n', stratify_by => ARRAY['n']);
SET mlops.max_training_memory = '1MB';
DO $$
DECLARE
    detail text;
BEGIN
    PERFORM mlops_refresh_validation_set('buys', 'strata');
EXCEPTION WHEN program_limit_exceeded THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RAISE WARNING '%', left(detail, 38);
END $$;
RESET mlops.max_training_memory;
SELECT mlops_drop_validation_set('buys', 'strata');

SELECT mlops_create_validation_set('buys', 'recent', 'visit', key => 'n', time_column => 'at', period => '7 days');
SELECT mlops_create_validation_set('buys', 'recent', 'visit', key => 'n');
SELECT edition, rows FROM mlops_refresh_validation_set('buys', 'recent', '2026-01-15');
-- times
SELECT mlops_refresh_validation_set('buys', 'recent', '2026-01-14');
SELECT mlops_refresh_validation_set('buys', 'recent', 'infinity');
SELECT mlops_refresh_validation_set('buys', 'recnt');
-- the same key twice
INSERT INTO visit VALUES (340, '2026-01-15 02:30+00'), (340, '2026-01-15 02:40+00');
UPDATE visit SET bought = true WHERE bought IS NULL;
SELECT mlops_refresh_validation_set('buys', 'recent', '2026-01-16');
DELETE FROM visit WHERE n = 340;
-- NULL: left out, and told; times of the future lie outside the window
INSERT INTO visit VALUES (NULL, '2026-01-15 03:00+00', 1, 1, true), (601, '2026-01-15 03:00+00', 1, 1, NULL),
                         (602, '2027-01-01', 1, 1, true), (603, 'infinity', 1, 1, true), (604, NULL, 1, 1, true);
SET client_min_messages = notice;
SELECT edition, rows_in FROM mlops_refresh_validation_set('buys', 'recent', '2026-01-15 06:00');
SELECT mlops_create_validation_set('buys', 'fresh', 'visit', key => 'n', time_column => 'at', period => '7 days');
SELECT edition FROM mlops_refresh_validation_set('buys', 'fresh', '2026-01-16');
SELECT rows_skipped FROM mlops.edition WHERE validation_set = 'fresh';
SET client_min_messages = warning;
-- a query that changed its shape
ALTER TABLE visit ADD COLUMN referrer text;
ALTER TABLE visit ALTER COLUMN pages TYPE bigint;
ALTER TABLE visit DROP COLUMN hour;
SELECT mlops_refresh_validation_set('buys', 'recent', '2026-01-17');
-- an error in the source
CREATE VIEW broken AS SELECT n, at, bought, 1 / (n - 400) AS ratio FROM visit;
SELECT mlops_create_validation_set('buys', 'broken', 'broken', key => 'n', time_column => 'at', period => '7 days');
SELECT edition FROM mlops_refresh_validation_set('buys', 'broken', '2026-01-15');
SELECT mlops_refresh_validation_set('buys', 'broken', '2026-01-18');
-- a source that is gone
DROP TABLE visit CASCADE;
SELECT mlops_refresh_validation_set('buys', 'recent', '2026-01-17');
-- what there was is there
SELECT validation_set, edition, mlops_verify_edition('buys', validation_set, edition) FROM mlops.edition WHERE model = 'buys' ORDER BY 1, 2;
-- nothing is written in a transaction that reads only
BEGIN READ ONLY;
SELECT mlops_refresh_validation_set('buys', 'recent', '2026-01-17');
ROLLBACK;
SELECT mlops_drop_model('buys'), mlops_drop_model('length');
DROP SCHEMA ml_set_errors CASCADE;
