-- A model can ask for a second pair of eyes: with the setting approvals => n a
-- version is promoted only after n other roles, who could promote it
-- themselves, have approved it. An approval counts while its role has the
-- privilege. Not even force stands in for a colleague; a rollback needs nobody.
CREATE SCHEMA ml_approval;
SET search_path = ml_approval;
\set SHOW_CONTEXT never
CREATE TABLE visit AS SELECT i AS n, i % 7 AS pages, i * 5 % 13 > 5 AS bought FROM generate_series(1, 80) AS i;
CREATE ROLE regress_ml_ann;
CREATE ROLE regress_ml_bob;
CREATE ROLE regress_ml_eve;
SET client_min_messages = error;
SELECT count(mlops_train_now('buys', 'visit', 'bought', params => jsonb_build_object('l2', i))) AS trained FROM generate_series(1, 2) AS i;
SELECT version FROM mlops_promote('buys', 1, threshold => 0.5);
SELECT mlops_grant('buys', 'regress_ml_ann', 'promote');
SELECT mlops_grant('buys', 'regress_ml_bob', 'promote');
SELECT mlops_grant('buys', 'regress_ml_eve', 'read');
RESET client_min_messages;
SELECT mlops_set_model('buys', '{"approvals": 1}');
SELECT settings FROM mlops.model WHERE model = 'buys';

-- the role that promotes is not its own second pair of eyes
SET ROLE regress_ml_ann;
SELECT mlops_approve('buys', 2, 'looks good to me');
SELECT version FROM mlops_promote('buys', 2, threshold => 0.5);
\echo :LAST_ERROR_SQLSTATE
SELECT version FROM mlops_promote('buys', 2, threshold => 0.5, force => true, reason => 'nobody is here');
-- another role's approval counts
SET ROLE regress_ml_bob;
SELECT mlops_approve('buys', 2, 'checked the slices');
SELECT approved_by, note FROM mlops.approval WHERE model = 'buys' ORDER BY approved_by;
SET ROLE regress_ml_ann;
SELECT version FROM mlops_promote('buys', 2, threshold => 0.5);
SELECT version FROM mlops_rollback('buys');

-- an approval of somebody who may not promote any more is none
RESET ROLE;
SELECT mlops_revoke('buys', 'regress_ml_bob', 'promote');
SET ROLE regress_ml_ann;
SELECT version FROM mlops_promote('buys', 2, threshold => 0.5);

-- a group is no other pair of eyes than its members: not of who promotes, nor of another who approved
RESET ROLE;
CREATE ROLE regress_ml_team ROLE regress_ml_ann, regress_ml_eve;
SELECT mlops_train_now('buys', 'visit', 'bought', params => '{"l2": 3}') AS version;
SELECT mlops_grant('buys', 'regress_ml_team', 'promote');
SET ROLE regress_ml_team;
SELECT mlops_approve('buys', 3);
SET ROLE regress_ml_ann;
SELECT version FROM mlops_promote('buys', 3, threshold => 0.5);
SELECT mlops_approve('buys', 3);
SET ROLE regress_ml_team;
SELECT version FROM mlops_promote('buys', 3, threshold => 0.5);
RESET ROLE;
SELECT mlops_grant('buys', 'regress_ml_bob', 'promote');
SELECT mlops_set_model('buys', '{"approvals": 2}');
SET ROLE regress_ml_bob;
SELECT version FROM mlops_promote('buys', 3, threshold => 0.5);
SET ROLE regress_ml_eve;
SELECT mlops_approve('buys', 3);
SET ROLE regress_ml_bob;
SELECT version FROM mlops_promote('buys', 3, threshold => 0.5);
RESET ROLE;
SELECT version FROM mlops_rollback('buys');
SELECT mlops_revoke('buys', 'regress_ml_team', 'promote');

-- What is refused: approving without the privilege, what is not there, a number that is none
SET ROLE regress_ml_eve;
SELECT mlops_approve('buys', 2);
RESET ROLE;
SELECT mlops_approve('buys', 9);
SELECT mlops_set_model('buys', '{"approvals": "some"}');
SELECT mlops_set_model('buys', '{"approvals": -1}');
-- only the owner sets gates
SET ROLE regress_ml_ann;
SELECT mlops_set_gate('buys', 'mine', query => 'SELECT true');
SELECT mlops_drop_gate('buys', 'mine');
RESET ROLE;

-- null takes it back
SELECT mlops_set_model('buys', '{"approvals": null}');
SELECT version FROM mlops_promote('buys', 2, threshold => 0.5);
SELECT mlops_drop_model('buys', force => true);
DROP SCHEMA ml_approval CASCADE;
DROP ROLE regress_ml_team, regress_ml_ann, regress_ml_bob, regress_ml_eve;
