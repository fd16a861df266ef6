-- Nobody's code runs as somebody else. A source that another role wrote runs
-- as that role, so what the caller's session holds must not stand in for what
-- the source names. What the author may read does not become readable to who
-- retrains. Code behind the types of kept rows is the author's, and runs so.

CREATE SCHEMA train_author_test;
SET search_path = train_author_test;
SET client_min_messages = warning;
CREATE ROLE regress_ml_ann;
CREATE ROLE regress_ml_ben;
GRANT CREATE ON SCHEMA mlops TO regress_ml_ann;
GRANT CREATE, USAGE ON SCHEMA train_author_test TO regress_ml_ann;
GRANT USAGE ON SCHEMA train_author_test TO regress_ml_ben;
SET ROLE regress_ml_ann;
CREATE TABLE points AS SELECT i::float8 AS x, 2 * i + sin(i) AS y FROM generate_series(1, 60) AS i;
CALL mlops_train('author', 'points', 'y');
SELECT mlops_grant('author', 'regress_ml_ben', 'train');

-- ben's temporary view would be what ann's source finds, and would run ben's function as ann
SET ROLE regress_ml_ben;
CREATE FUNCTION pg_temp.steal() RETURNS float8 LANGUAGE plpgsql
AS $$BEGIN RAISE WARNING 'ben''s function runs as %', current_user; RETURN 1; END$$;
CREATE TEMP VIEW points AS SELECT x, 2 * x + random() AS y, pg_temp.steal() AS z FROM generate_series(1.0, 50.0) AS x;
GRANT SELECT ON points TO PUBLIC;
CALL mlops_retrain('author/1');
\echo :LAST_ERROR_SQLSTATE
DISCARD TEMP;

-- ben may retrain on rows that only ann may read, but not keep them to read them
SELECT count(*) FROM points;
CALL mlops_retrain('author/1', '{"options": {"keep_rows": true}}');
\echo :LAST_ERROR_SQLSTATE
CALL mlops_retrain('author/1');
-- ann may let them be kept
SET ROLE regress_ml_ann;
CALL mlops_train('author', 'points', options => '{"keep_rows": true}');
SET ROLE regress_ml_ben;
CALL mlops_retrain('author/3');
RESET ROLE;
SELECT version, trained_by, rows_kept FROM mlops.version WHERE model = 'author' ORDER BY version;

-- a value of a domain is made by its owner's checks: as ann, even if a superuser reproduces
SET ROLE regress_ml_ann;
CREATE FUNCTION is_fine(v float8) RETURNS boolean LANGUAGE plpgsql
AS $$BEGIN IF v = 1 THEN RAISE WARNING 'ann''s function runs as %', current_user; END IF; RETURN true; END$$;
CREATE DOMAIN measured AS float8;
CREATE TABLE measurement AS SELECT x::measured AS x, y FROM points;
ALTER DOMAIN measured ADD CHECK (is_fine(VALUE)) NOT VALID;
CALL mlops_train('author', 'measurement', options => '{"keep_rows": true}');
RESET ROLE;
CALL mlops_reproduce('author/5');

-- SET LOCAL ROLE ends at the first commit: the training stops there, and does not go on as a superuser
\set VERBOSITY terse
DO $$
DECLARE
	number int;
BEGIN
	SET LOCAL ROLE regress_ml_ann;
	CALL mlops_train('author', 'points', version => number);
END$$;
\set VERBOSITY default
\echo :LAST_ERROR_SQLSTATE
SELECT current_user = session_user AS back, count(*) AS versions FROM mlops.version WHERE model = 'author';

-- the author lost the right, and is gone: a version that kept its rows still has them
CREATE ROLE regress_ml_cid;
CREATE TABLE of_cid AS SELECT x, y FROM points;
GRANT SELECT ON of_cid TO regress_ml_cid;
GRANT USAGE ON SCHEMA train_author_test TO regress_ml_cid;
SELECT mlops_grant('author', 'regress_ml_cid', 'train');
SET ROLE regress_ml_cid;
SELECT mlops_train_now('author', 'of_cid') AS plain \gset
SELECT mlops_train_now('author', 'of_cid', options => '{"keep_rows": true}') AS kept \gset
RESET ROLE;
SELECT mlops_revoke('author', 'regress_ml_cid', 'train');
CALL mlops_reproduce('author/' || :kept);
REVOKE ALL ON of_cid FROM regress_ml_cid;
REVOKE ALL ON SCHEMA train_author_test FROM regress_ml_cid;
DROP ROLE regress_ml_cid;
CALL mlops_reproduce('author/' || :kept);
CALL mlops_reproduce('author/' || :plain);
CALL mlops_retrain('author/' || :plain);
SELECT count(*) FROM mlops_rows('author/' || :kept);

-- a search without a source trains from that of what is active, as a retraining does
SET ROLE regress_ml_ann;
CALL mlops_train('author_search', 'points', 'y') \gset
SELECT version FROM mlops_promote('author_search', 1);
SELECT mlops_grant('author_search', 'regress_ml_ben', 'train');
SET ROLE regress_ml_ben;
CREATE TEMP TABLE points (x float8, y float8);
CALL mlops_search('author_search', budget => '{"candidates": 1}') \gset
\echo :LAST_ERROR_SQLSTATE
DISCARD TEMP;
CALL mlops_search('author_search', budget => '{"candidates": 1}') \gset
RESET ROLE;
SELECT version, trained_by, spec ->> 'author' AS author FROM mlops.version WHERE model = 'author_search' ORDER BY version;

SELECT mlops_drop_model('author_search', force => true);
SELECT mlops_drop_model('author');
DROP SCHEMA train_author_test CASCADE;
REVOKE CREATE ON SCHEMA mlops FROM regress_ml_ann;
DROP ROLE regress_ml_ann, regress_ml_ben;
