-- Any edition can be selected again exactly, whatever happened since. Its
-- fingerprint is that of its rows, in whatever order they lie.
CREATE SCHEMA ml_edition;
SET search_path = ml_edition;
SET timezone = 'UTC';
SET client_min_messages = warning;
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE DOMAIN percent AS numeric(5, 2) CHECK (VALUE >= 0);
CREATE TABLE visit AS
SELECT i AS n, date '2026-01-01' + i AS day, i % 7 AS pages, (ARRAY['sad', 'glad'])[1 + i % 2]::mood AS mood,
       (i % 100)::percent AS share, CASE WHEN i % 5 > 0 THEN 'text ' || i END AS note, repeat('x', i * 100) AS long,
       ARRAY[i, NULL, 3]::float8[] AS vector, jsonb_build_object('i', i) AS extra, i % 3 = 0 AS bought
  FROM generate_series(1, 100) AS i;
SELECT mlops_create_model('buys', target => 'bought');
SELECT mlops_create_validation_set('buys', 'weekly', 'visit', key => 'n', time_column => 'day', period => '30 days');
SELECT count((mlops_refresh_validation_set('buys', 'weekly', date '2026-02-01' + 7 * w)).edition) AS editions
  FROM generate_series(0, 4) AS w;
CREATE TABLE seen AS
SELECT edition, array(SELECT e FROM mlops_edition('buys', 'weekly', edition) AS e ORDER BY (e ->> 'n')::int) AS rows
  FROM mlops.edition;

-- much happens afterwards
UPDATE visit SET pages = pages + 1, note = 'changed' WHERE n > 40;
DELETE FROM visit WHERE n % 4 = 0;
SELECT edition, rows_in, rows_out FROM mlops_refresh_validation_set('buys', 'weekly', '2026-03-15');
SELECT mlops_pin('buys', 'weekly', '71');
SELECT s.edition, s.rows = array(SELECT e FROM mlops_edition('buys', 'weekly', s.edition) AS e ORDER BY (e ->> 'n')::int) AS same_rows,
       mlops_verify_edition('buys', 'weekly', s.edition) AS same_fingerprint
  FROM seen AS s ORDER BY s.edition;
SELECT count(DISTINCT fingerprint) = count(*) AS fingerprints_differ, sum(rows_in) - sum(rows_out) = max(rows) FILTER (WHERE edition = 7) AS figures_add_up
  FROM mlops.edition WHERE model = 'buys';

-- rows as a row type; NULL is the newest edition
SELECT n, day, pages, mood, share, note, length(long) AS long, vector, extra, bought
  FROM mlops_edition('buys', 'weekly', 1, NULL::visit) ORDER BY n LIMIT 3;
SELECT count(*) FROM mlops_edition('buys', 'weekly', NULL, NULL::visit);

-- types that are the server's own lie in the table: nobody's code runs when it is read
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
 WHERE attrelid = 'mlops_data.buys_weekly'::regclass AND attname IN ('mood', 'share', 'vector', 'extra') ORDER BY attname;
DROP TABLE seen, visit;
DROP TYPE mood;
SELECT count(*) FROM mlops_edition('buys', 'weekly', 1);

-- who changes rows behind its back is found out
UPDATE mlops_data.buys_weekly SET pages = 99 WHERE n = 20;
SELECT mlops_verify_edition('buys', 'weekly', 1);

-- editions that are not there, of sets that are not there
SELECT mlops_edition('buys', 'weekly', 99);
SELECT mlops_edition('buys', 'weakly');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_create_validation_set('buys', 'second', 'SELECT 1 AS n, true AS bought', key => 'n');
SELECT mlops_edition('buys');

-- a person is forgotten: gone from every edition, which say so
SELECT mlops_forget('buys', '71') > 0 AS forgotten;
SELECT edition, altered, mlops_verify_edition('buys', 'weekly', edition) AS fingerprint_of_what_is_left
  FROM mlops.edition WHERE model = 'buys' AND edition > 4 ORDER BY edition;
SELECT count(*) FROM generate_series(1, 7) AS edition, mlops_edition('buys', 'weekly', edition) AS e WHERE e ->> 'n' = '71';
SELECT count(*) FROM mlops.pin WHERE model = 'buys';

-- long names give tables of their own
SELECT mlops_create_model(repeat('m', 60), target => 'y');
SELECT mlops_create_validation_set(repeat('m', 60), repeat('s', 60), 'SELECT 1 AS n, true AS y', key => 'n', frozen => true),
       mlops_create_validation_set(repeat('m', 60), repeat('s', 59) || 't', 'SELECT 1 AS n, true AS y', key => 'n', frozen => true);
SELECT count(*), count(DISTINCT tablename) FROM pg_tables WHERE schemaname = 'mlops_data' AND tablename LIKE 'mmm%';

SELECT mlops_drop_model('buys'), mlops_drop_model(repeat('m', 60));
DROP SCHEMA ml_edition CASCADE;
