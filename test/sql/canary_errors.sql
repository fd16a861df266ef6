-- What a canary is refused, what keeps it, and whom its promotion asks: gates
-- are heard before it gets its first row, and not again while nothing of what
-- they have looked at changes.
CREATE SCHEMA ml_canary_errors;
SET search_path = ml_canary_errors;
\set SHOW_CONTEXT never
CREATE TABLE visit AS SELECT i AS n, i % 7 AS pages, i * 5 % 13 > 5 AS bought FROM generate_series(1, 80) AS i;
CREATE TABLE allowed (version int);
SET client_min_messages = error;
SELECT count(mlops_train_now('offer', 'SELECT pages, bought FROM ml_canary_errors.visit', 'bought', params => jsonb_build_object('l2', i))) AS trained
  FROM generate_series(1, 4) AS i;
RESET client_min_messages;

-- ---- refused ----

-- nothing is active beside which it could run
SELECT mlops_promote('offer', 1, share => 0.5);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_predict('offer@canary', '{"pages": 1}'::jsonb);
\echo :LAST_ERROR_SQLSTATE
SET client_min_messages = warning;
SELECT version FROM mlops_promote('offer', 1, threshold => 0.5);
-- shares outside 0 to 1
SELECT mlops_promote('offer', 2, share => 0);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_promote('offer', 2, share => -0.1);
SELECT mlops_promote('offer', 2, share => 1.01);
SELECT mlops_promote('offer', 2, share => 'NaN');
SELECT mlops_promote('offer', 2, share => NULL);
-- a canary of what is active already
SELECT mlops_promote('offer', 1, share => 0.1);
\echo :LAST_ERROR_SQLSTATE
-- nobody runs as the canary
SELECT mlops_predict('offer@canary', '{"pages": 1}'::jsonb);
SELECT mlops_set_alias('offer', 'canary', 2);
-- two canaries at once: of other versions, of other thresholds
SELECT version, share FROM mlops_promote('offer', 2, share => 0.1, threshold => 0.5);
SELECT mlops_promote('offer', 3, share => 0.1);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_promote('offer', 2, share => 0.1, threshold => 0.6);
-- the same again changes nothing
RESET client_min_messages;
SELECT version, share, deployment FROM mlops_promote('offer', 2, share => 0.1);
SET client_min_messages = warning;
-- expect is the active version, not the canary
SELECT mlops_promote('offer', 2, share => 0.2, expect => 2);
\echo :LAST_ERROR_SQLSTATE
-- the canary and its rules cannot be dropped
SELECT mlops_drop_version('offer', 2);
\echo :LAST_ERROR_SQLSTATE
SELECT version FROM mlops_rollback('offer');
SELECT mlops_create_rules('offer', '[{"name": "one", "when": "pages = 0", "then": {"set": 0.5}}]') AS rules;
SELECT version FROM mlops_promote('offer', 2, share => 0.1, rules => 1);
SELECT mlops_drop_rules('offer', 1);
\echo :LAST_ERROR_SQLSTATE
-- more steps than there are: the canary stays
SELECT mlops_rollback('offer', steps => 2);
SELECT canary_version FROM mlops.serving WHERE model = 'offer';
SELECT version FROM mlops_rollback('offer');
-- a position is for who may predict with the model, which must be there
CREATE ROLE regress_ml_canary;
GRANT USAGE ON SCHEMA ml_canary_errors TO regress_ml_canary;
SET ROLE regress_ml_canary;
SELECT mlops_canary_position('offer', 'anna');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT mlops_grant('offer', 'regress_ml_canary', 'predict');
SET ROLE regress_ml_canary;
SELECT mlops_canary_position('offer', 'anna') BETWEEN 0 AND 1 AS position;
SELECT mlops_promote('offer', 2, share => 0.1);
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT mlops_revoke('offer', 'regress_ml_canary', 'predict');
DROP OWNED BY regress_ml_canary;
DROP ROLE regress_ml_canary;
SELECT mlops_canary_position('sells', 'anna');
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_set_model('offer', '{"canary_salt": ["a"]}');

-- ---- bytes that are no pair of bundles ----

SELECT version FROM mlops_promote('offer', 2, share => 0.5, rules => 0);
CREATE FUNCTION changed(at int, bytes bytea) RETURNS mlops.bundle LANGUAGE sql AS $$
    SELECT ('\x' || encode(overlay(decode(substr(mlops_bundle('offer')::text, 3), 'hex') PLACING bytes FROM at + 1), 'hex'))::mlops.bundle $$;
SELECT length(changed(0, '\x')::text) > 0 AS sound;
SELECT changed(168, '\x0000000000000000');      -- a share of nothing
\echo :LAST_ERROR_SQLSTATE
SELECT changed(168, '\x000000000000f03f');      -- of everything
SELECT changed(184, '\x00000000');              -- a canary without a number
SELECT changed(184, '\x09000000');              -- another version than the bundle's
SELECT changed(160, '\xffffffffffffff7f');      -- longer than what there is
SELECT changed(160, '\x0000000000000000');      -- nothing of the active one
SELECT changed(188, '\x01');                    -- something where nothing is
SELECT changed(130, '\x0000');                  -- another checksum
SELECT changed(400, '\xffff');                  -- other bytes
SELECT ('\x' || substr(mlops_bundle('offer')::text, 3, 300))::mlops.bundle;
-- a pair in a pair, with a length and a checksum that are right
SELECT ('\x' || encode(substr(p, 1, 128) || sha256(p || p) || set_byte(set_byte('\x0000000000000000', 0, length(p) & 255), 1, length(p) >> 8)
                       || substr(p, 169, 24) || p || p, 'hex'))::mlops.bundle
  FROM (SELECT decode(substr(mlops_bundle('offer')::text, 3), 'hex') AS p) AS b WHERE length(p) < 65536;
-- any one bit of the header, and of what follows in places: refused, but for another share or seed, which are as good
CREATE FUNCTION outcome(bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM ('\x' || encode(bytes, 'hex'))::mlops.bundle;
    RETURN 'read';
EXCEPTION WHEN OTHERS THEN
    RETURN 'refused';
END $$;
SELECT outcome(set_bit(p, bit, 1 - get_bit(p, bit))) AS outcome, bool_and(bit / 8 BETWEEN 168 AND 183) AS share_or_seed
  FROM (SELECT decode(substr(mlops_bundle('offer')::text, 3), 'hex') AS p) AS b,
       LATERAL (SELECT i::bigint FROM generate_series(0, 192 * 8 - 1) AS i UNION ALL SELECT i FROM generate_series(192 * 8, length(p) * 8 - 1, 101) AS i) AS t (bit)
 GROUP BY outcome ORDER BY outcome;
SELECT version FROM mlops_rollback('offer');

-- ---- whom it asks ----

RESET client_min_messages;
SELECT mlops_set_gate('offer', 'allowed', query => $$SELECT count(*) > 0, count(*) || ' permits' FROM allowed WHERE version = $2$$);
-- before the first row
SELECT mlops_promote('offer', 3, share => 0.1, threshold => 0.5);
\echo :LAST_ERROR_SQLSTATE
INSERT INTO allowed VALUES (3);
SELECT version, share FROM mlops_promote('offer', 3, share => 0.1, threshold => 0.5);
-- not when it grows, nor when it completes: what it passed is what there is
TRUNCATE allowed;
SELECT version, share FROM mlops_promote('offer', 3, share => 0.2);
BEGIN;
SELECT version, share FROM mlops_promote('offer', 3);
ROLLBACK;
-- but a gate that was set since has not been passed; a smaller share asks nobody
SELECT mlops_set_gate('offer', 'allowed too', query => 'SELECT false, $1 || $2');
SELECT mlops_promote('offer', 3, share => 0.3);
SELECT version, share FROM mlops_promote('offer', 3, share => 0.05);
SELECT mlops_promote('offer', 3);
SELECT mlops_drop_gate('offer', 'allowed too');
-- nor has one that is set anew
SELECT mlops_set_gate('offer', 'allowed', query => $$SELECT count(*) > 0, count(*) || ' permits' FROM allowed WHERE version = $2$$);
SELECT mlops_promote('offer', 3);
-- to serve all rows it is the active one's turn at any time
SELECT version, share FROM mlops_promote('offer', 1);
-- what was forced has passed nothing
SELECT version, share FROM mlops_promote('offer', 4, share => 0.1, threshold => 0.5, force => true, reason => 'the fair');
SELECT mlops_promote('offer', 4);
SELECT version FROM mlops_rollback('offer');
-- having been a canary is not having served: only who served all rows comes back unasked
SELECT mlops_promote('offer', 4);
INSERT INTO allowed VALUES (2);
SELECT version FROM mlops_promote('offer', 2, threshold => 0.5, rules => 0);
SELECT version FROM mlops_promote('offer', 1);
TRUNCATE allowed;
SELECT version, share FROM mlops_promote('offer', 2, share => 0.1);
-- and not if a rollback took it down since, as a canary
SELECT version FROM mlops_rollback('offer');
SELECT mlops_promote('offer', 2);
SELECT number, action, version, share, from_version, forced, evidence IS NOT NULL AS heard
  FROM mlops.deployment WHERE model = 'offer' AND number > 7 ORDER BY number;

SELECT mlops_drop_model('offer', force => true);
SET client_min_messages = warning;
DROP SCHEMA ml_canary_errors CASCADE;
