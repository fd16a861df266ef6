-- The label queue lists the rows without a label that are most worth labelling: the
-- active version is uncertain, versions disagree, or a slice of the validation
-- set is thin. Labels that people give are used by the next refresh.
CREATE SCHEMA ml_label_queue;
SET search_path = ml_label_queue;
SET timezone = 'UTC';
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE TABLE mail AS
SELECT i AS id, timestamptz '2026-01-01' + i * interval '1 hour' AS at, (i % 20)::float8 AS words, (ARRAY['de', 'en'])[1 + (i % 50 <> 5)::int] AS language,
       CASE WHEN i <= 900 THEN i % 20 + i % 3 > 10 END AS spam
  FROM generate_series(1, 960) AS i;
SELECT mlops_train_now('spam', 'SELECT words, spam FROM mail WHERE spam IS NOT NULL', 'spam', params => '{"l2": 1}') AS version;
SELECT mlops_create_validation_set('spam', 'recent', 'mail', key => 'id', time_column => 'at', period => '60 days',
                                   lateness => '7 days', slices => '{language = ''de''}');
SELECT edition, rows FROM mlops_refresh_validation_set('spam', 'recent', '2026-02-12');
-- rows without a label are not in the set, and are counted
SELECT rows_skipped FROM mlops.edition WHERE model = 'spam';

-- uncertain ones first; nothing is active: the newest version is asked
SELECT count(*), bool_and(abs(prediction - 0.5) < 0.25) AS all_near_the_threshold, bool_and(score BETWEEN 0 AND 1) AS scores
  FROM mlops_label_queue('spam', 6);
SELECT reason FROM mlops_label_queue('spam', 6) WHERE reason NOT LIKE 'thin%' GROUP BY reason;
-- the set has 18 German mails, of which it shall have 30
SELECT reason, label IN ('true', 'false') AS labelled FROM mlops_label_queue('spam', 960) WHERE reason LIKE 'thin%' GROUP BY 1, 2;

-- versions disagree: the second was trained to say the opposite
SELECT mlops_train_now('spam', 'SELECT words, NOT spam AS spam FROM mail WHERE spam IS NOT NULL', 'spam', params => '{"l2": 1}') AS version;
SELECT version FROM mlops_promote('spam', 1, threshold => 0.5);
SELECT reason FROM mlops_label_queue('spam', 3) GROUP BY reason;

-- any query of the caller's own
SELECT count(*), count(DISTINCT key) FROM mlops_label_queue('spam', 5, 'SELECT id AS number, words FROM mail', key_column => 'number');
SELECT mlops_label_queue('spam', 5, 'SELECT words FROM mail');
SELECT mlops_label_queue('spam', 0);
-- long keys count in the memory that there is
SET mlops.max_training_memory = '2MB';
SELECT count(*) FROM mlops_label_queue('spam', 5, 'SELECT id AS number, words FROM mail', key_column => 'number');
SELECT count(*) FROM mlops_label_queue('spam', 5, 'SELECT repeat(''k'', 9000) || id AS number, words FROM mail', key_column => 'number');
\echo :LAST_ERROR_SQLSTATE
RESET mlops.max_training_memory;

-- labels come back with their annotator, and the next refresh has them
SELECT mlops_record_label('spam', '910', 'true', annotator => 'ann'), mlops_record_label('spam', '911', 'false', 'sure', 'ben');
SELECT rows_in FROM mlops_refresh_validation_set('spam', 'recent', '2026-02-12');
SELECT e ->> 'id' AS id, e ->> 'spam' AS spam FROM mlops_edition('spam', 'recent') AS e WHERE (e ->> 'id')::int > 900 ORDER BY 1;
SELECT key, label, note, annotator FROM mlops.label ORDER BY key;
SELECT mlops_record_label('spam', '912', NULL);
-- a label that the target cannot be is told and left out: it stops no other
SELECT mlops_record_label('spam', '912', 'perhaps'), mlops_record_label('spam', '913', 'true');
SELECT edition, rows_in FROM mlops_refresh_validation_set('spam', 'recent', '2026-02-12');
SELECT mlops_forget('spam', '912');
SELECT edition FROM mlops_refresh_validation_set('spam', 'recent', '2026-02-12');

SELECT mlops_drop_model('spam', force => true);
DROP SCHEMA ml_label_queue CASCADE;
