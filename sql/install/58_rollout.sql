-- Rollouts: canaries that grow by steps.

CREATE FUNCTION mlops_create_rollout(model text, version integer, stages jsonb, rules integer DEFAULT NULL,
       threshold float8 DEFAULT NULL, reason text DEFAULT NULL, as_of timestamptz DEFAULT pg_catalog.now())
RETURNS integer
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_create_rollout(text, integer, jsonb, integer, float8, text, timestamptz) IS
'brings a version out in steps of growing shares, which mlops_tick moves on and ends when the canary is worse, its split is broken or a gate fails; returns its number';

CREATE FUNCTION mlops_stop_rollout(model text, reason text DEFAULT NULL, as_of timestamptz DEFAULT pg_catalog.now())
RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_stop_rollout(text, text, timestamptz) IS
'ends the rollout of a model where it is; its canary goes on to serve';

CREATE VIEW mlops.rollout WITH (security_barrier) AS
SELECT r.model, r.number AS rollout, r.version, r.state, r.step, s.name AS step_name, s.share,
       (SELECT pg_catalog.count(*) FROM mlops_catalog.rollout_step AS a
         WHERE a.model OPERATOR(pg_catalog.=) r.model AND a.rollout OPERATOR(pg_catalog.=) r.number) AS steps,
       r.waits_for, r.author, r.reason, r.created_at, r.looked_at, r.ended_at, r.end_reason
  FROM mlops_catalog.rollout AS r
  JOIN mlops_catalog.rollout_step AS s ON s.model OPERATOR(pg_catalog.=) r.model
                                      AND s.rollout OPERATOR(pg_catalog.=) r.number AND s.step OPERATOR(pg_catalog.=) r.step
 WHERE mlops.may(r.model, 'read');
COMMENT ON VIEW mlops.rollout IS 'versions that are or were brought out in steps; waits_for: what the present step has not met yet';

CREATE VIEW mlops.rollout_step WITH (security_barrier) AS
SELECT s.model, s.rollout, s.step, s.name, s.share, s.min_time, s.min_rows, s.min_outcomes, s.gates, s.compare,
       s.entered_at, s.left_at, s.deployment, s.verdict, s.seen
  FROM mlops_catalog.rollout_step AS s
 WHERE mlops.may(s.model, 'read');
COMMENT ON VIEW mlops.rollout_step IS 'the steps of rollouts: what is to be met to leave each, when it was entered and left, and what was seen of the canary';
