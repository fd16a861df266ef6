-- Past failures are pinned: rows that stay whatever the window does, that no
-- refresh changes, that weigh nothing overall, and that every later version is
-- shown as the slice "pinned". A pinned row is a copy: the sample stays as it is.
CREATE SCHEMA ml_pins;
SET search_path = ml_pins;
SET timezone = 'UTC';
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE TABLE visit AS
SELECT i AS n, timestamptz '2026-01-01' + i * interval '1 hour' AS at, i % 10 AS pages, i % 10 > 4 AS bought
  FROM generate_series(1, 1000) AS i;
-- three rows that no version can know
UPDATE visit SET bought = NOT bought WHERE n IN (700, 705, 709);
SELECT mlops_train_now('buys', 'SELECT n, pages, bought FROM visit', 'bought', key => 'n', exclude => '{n}',
                       params => '{"l2": 1}') AS version;
SELECT mlops_create_validation_set('buys', 'recent', 'visit', key => 'n', time_column => 'at', period => '20 days',
                                   slices => '{pages < 2}');
-- nothing can be pinned before there is an edition
SELECT mlops_pin('buys', 'recent', '5');
SELECT edition, rows FROM mlops_refresh_validation_set('buys', 'recent', '2026-02-05');

-- a row of the sample, and one that is in the source only
SELECT mlops_pin('buys', 'recent', '701', 'complaint 4711') AS edition;
SELECT mlops_pin('buys', 'recent', '5', 'old complaint') AS edition;
SELECT e ->> 'n' AS n, e ->> 'mlops_weight' AS weight FROM mlops_edition('buys', 'recent') AS e
 WHERE e ->> 'n' IN ('5', '701') ORDER BY 1, 2;
SELECT mlops_pin('buys', 'recent', '5');
SELECT mlops_pin('buys', 'recent', '5000');
SELECT mlops_pin('buys', 'recent', 'five');

-- the active version's worst errors, and what somebody reported: with the label that is right
SELECT mlops_record_failure('buys', '12', 'true', 'bought in the shop', annotator => 'ann');
SELECT mlops_record_failure('buys', '4321');
-- what cannot be is left out, and the others are pinned
SELECT mlops_record_failure('buys', 'thirteen'), mlops_record_failure('buys', '13', 'perhaps');
SET client_min_messages = notice;
SELECT mlops_pin_failures('buys');
SET client_min_messages = error;
SELECT version FROM mlops_promote('buys', 1, threshold => 0.5);
SELECT mlops_pin_failures('buys', 'recent', max_rows => 10);
SELECT key, reason FROM mlops.pin ORDER BY key;
SELECT e ->> 'bought' AS as_reported FROM mlops_edition('buys', 'recent') AS e WHERE e ->> 'n' = '12';
SELECT key, correct_label, note, annotator FROM mlops.failure ORDER BY key;
-- what is pinned is not pinned again
SELECT mlops_pin_failures('buys', 'recent', max_rows => 10);

-- reports that cannot be keep no later one out
SELECT mlops_record_failure('buys', '40', note => 'told by phone');
SELECT mlops_pin_failures('buys', 'recent', max_rows => 2) > 0 AS some;
SELECT key, reason FROM mlops.pin WHERE key = '40';
SELECT mlops_unpin('buys', 'recent', '40') > 0 AS unpinned;

-- the window goes on, and the source changes: pinned rows stay what they were
UPDATE visit SET pages = -1 WHERE n IN (5, 12, 700);
SELECT pinned, rows = pinned AS only_pins_are_left FROM mlops.validation_set;
SELECT edition, rows FROM mlops_refresh_validation_set('buys', 'recent', '2026-05-01');
SELECT pinned, rows = pinned AS only_pins_are_left FROM mlops.validation_set;
SELECT count(*), min((e ->> 'pages')::int) >= 0 AS unchanged, max((e ->> 'mlops_weight')::float8) AS weight FROM mlops_edition('buys') AS e;
SELECT slices ->> 'pinned' AS pinned FROM mlops.edition ORDER BY edition DESC LIMIT 1;

-- until they are unpinned
SELECT mlops_unpin('buys', 'recent', '5') IS NOT NULL AS unpinned;
SELECT mlops_unpin('buys', 'recent', '5');
SELECT pinned FROM mlops.validation_set;
SELECT bool_and(mlops_verify_edition('buys', 'recent', edition)) AS verified FROM mlops.edition;
SELECT mlops_pin_failures('buys', 'recent', max_rows => 0);

-- numbers: the largest distance is the worst
SELECT mlops_train_now('length', 'SELECT n, pages, pages * 2.0 + (n = 800)::int * 50 AS seconds FROM visit WHERE n > 500', 'seconds', key => 'n', exclude => '{n}') AS version;
SELECT version FROM mlops_promote('length', 1);
SELECT mlops_create_validation_set('length', 'all', 'SELECT n, pages, pages * 2.0 + (n = 800)::int * 50 AS seconds FROM visit WHERE n > 700', key => 'n', frozen => true);
SELECT mlops_pin_failures('length', max_rows => 1);
SELECT key, reason FROM mlops.pin WHERE model = 'length';

SELECT mlops_drop_model('buys', force => true), mlops_drop_model('length', force => true);
DROP SCHEMA ml_pins CASCADE;
