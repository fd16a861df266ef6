-- A set is read as its author and a slice as the slice's author, whoever
-- refreshes; they must still hold their privilege on the model. A set holds copies past the source's
-- row-level security, so that reading an edition needs "read".
CREATE SCHEMA ml_set_privileges;
SET search_path = ml_set_privileges;
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_ml_ann;
CREATE ROLE regress_ml_ben;
GRANT CREATE ON SCHEMA mlops TO regress_ml_ann;
GRANT USAGE, CREATE ON SCHEMA ml_set_privileges TO regress_ml_ann, regress_ml_ben;
CREATE TABLE visit AS SELECT i AS n, i % 7 AS pages, i % 2 AS shop, i % 3 = 0 AS bought FROM generate_series(1, 100) AS i;
GRANT SELECT ON visit TO regress_ml_ann;

SET ROLE regress_ml_ann;
SELECT mlops_create_model('buys', target => 'bought');
SELECT mlops_create_validation_set('buys', 'all', 'visit', key => 'n');
SELECT rows FROM mlops_refresh_validation_set('buys');

-- nobody else may do anything
SET ROLE regress_ml_ben;
SELECT mlops_create_validation_set('buys', 'mine', 'visit', key => 'n');
SELECT mlops_refresh_validation_set('buys', 'all');
SELECT mlops_edition('buys', 'all');
SELECT mlops_pin('buys', 'all', '1');
SELECT mlops_unpin('buys', 'all', '1');
SELECT mlops_pin_failures('buys', 'all');
SELECT mlops_create_slice('buys', 'all', 'x', 'true');
SELECT mlops_drop_slice('buys', 'all', 'x');
SELECT mlops_forget('buys', '1');
SELECT mlops_label_queue('buys');
SELECT mlops_record_failure('buys', '1');
SELECT mlops_record_label('buys', '1', 'true');
SELECT mlops_verify_edition('buys', 'all', 1);
SELECT mlops_drop_validation_set('buys', 'all');
SELECT count(*) FROM mlops_data.buys_all;
SELECT (SELECT count(*) FROM mlops.validation_set) + (SELECT count(*) FROM mlops.edition) + (SELECT count(*) FROM mlops.slice)
       + (SELECT count(*) FROM mlops.pin) + (SELECT count(*) FROM mlops.failure) + (SELECT count(*) FROM mlops.label) AS seen;

-- read: editions; train: refreshes, which run as ann, who may read the table
RESET ROLE;
SELECT mlops_grant('buys', 'regress_ml_ben', 'read');
SET ROLE regress_ml_ben;
SELECT count(*) FROM mlops_edition('buys', 'all');
SELECT mlops_refresh_validation_set('buys', 'all');
RESET ROLE;
SELECT mlops_grant('buys', 'regress_ml_ben', 'train');
SET ROLE regress_ml_ben;
SELECT edition, rows FROM mlops_refresh_validation_set('buys', 'all');
SELECT count(*) FROM visit;
SELECT mlops_create_validation_set('buys', 'mine', 'visit', key => 'n');
SELECT mlops_refresh_validation_set('buys', 'mine');
SELECT mlops_drop_validation_set('buys', 'mine');

-- ben's slice runs as ben, with the rows of the set and nothing else that is ann's
CREATE FUNCTION who(n int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'slice runs as %', current_user; RETURN n > 50; END $$;
SELECT mlops_create_slice('buys', 'all', 'curious', 'n = 60 AND ml_set_privileges.who(n)');
RESET ROLE;
UPDATE visit SET pages = pages + 1 WHERE n = 60;
SET ROLE regress_ml_ann;
SELECT rows_in, rows_out FROM mlops_refresh_validation_set('buys', 'all');
SET ROLE regress_ml_ben;
SELECT mlops_create_slice('buys', 'all', 'thief', 'EXISTS (SELECT FROM ml_set_privileges.visit)');
-- it reads only
CREATE FUNCTION writes() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN CREATE TABLE ml_set_privileges.trace (); RETURN true; END $$;
SELECT mlops_create_slice('buys', 'all', 'writer', 'ml_set_privileges.writes()');

-- a privilege that is taken away: the slice's author is lost, and the refresh says so
RESET ROLE;
SELECT mlops_revoke('buys', 'regress_ml_ben', 'train'), mlops_revoke('buys', 'regress_ml_ben', 'read');
UPDATE visit SET pages = pages + 1 WHERE n = 60;
SET ROLE regress_ml_ann;
SELECT mlops_refresh_validation_set('buys', 'all');
SELECT mlops_drop_slice('buys', 'all', 'curious');
SELECT rows_in FROM mlops_refresh_validation_set('buys', 'all');

-- the source in a session with temporary objects, which could stand in for its tables
RESET ROLE;
CREATE TEMP TABLE visit (n int);
SELECT mlops_refresh_validation_set('buys', 'all');
DROP TABLE pg_temp.visit;

-- a source that gets around being read-only, as it can on servers before 16, is taken back with what it wrote
SET ROLE regress_ml_ann;
CREATE TABLE trace (who text);
CREATE FUNCTION leaves_trace() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'RESET transaction_read_only';
    INSERT INTO ml_set_privileges.trace VALUES (current_user);
    SET LOCAL transaction_read_only = on;
    RETURN true;
EXCEPTION WHEN OTHERS THEN
    RETURN true;
END $$;
SELECT mlops_create_validation_set('buys', 'sly', 'SELECT v.* FROM visit AS v, (SELECT leaves_trace() AS t) AS s WHERE s.t', key => 'n');
RESET ROLE;
DO $$BEGIN PERFORM mlops_refresh_validation_set('buys', 'sly'); EXCEPTION WHEN read_only_sql_transaction THEN NULL; END$$;
SELECT count(*) AS traces FROM trace;

-- types of ann's are kept as what they are made of, or as text: her checks and casts never run as the owner
SET ROLE regress_ml_ann;
CREATE TYPE point3 AS (x float8, y float8, z float8);
CREATE DOMAIN checked AS int CHECK (VALUE > 0);
CREATE VIEW odd AS SELECT 1::checked AS n, ROW(1, 2, 3)::point3 AS place, true AS bought;
SELECT mlops_create_validation_set('buys', 'odd', 'odd', key => 'n');
RESET ROLE;
SELECT rows FROM mlops_refresh_validation_set('buys', 'odd');
SELECT mlops_edition('buys', 'odd');
SELECT attname, atttypid::regtype FROM pg_attribute WHERE attrelid = 'mlops_data.buys_odd'::regclass AND attname IN ('n', 'place') ORDER BY 1;

SELECT mlops_drop_model('buys');
DROP SCHEMA ml_set_privileges CASCADE;
REVOKE CREATE ON SCHEMA mlops FROM regress_ml_ann;
DROP ROLE regress_ml_ann, regress_ml_ben;
