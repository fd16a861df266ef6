-- Training again: policies, and what became of the trainings that they asked for.

CREATE FUNCTION mlops_request_retraining(model text, reason text DEFAULT 'asked for', as_of timestamptz DEFAULT pg_catalog.now())
RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_request_retraining(text, text, timestamptz) IS
'has the next tick train a model again by its retraining policy; false if it will already';

CREATE VIEW mlops.retraining_policy WITH (security_barrier) AS
SELECT p.model, p.every, p.new_labels, p.drop, p.changes, p.promote, p.period, p.time_column, p.label_delay,
       p.pause, p.live_period, p.min_rows, p.author, p.as_of, p.set_at
  FROM mlops_catalog.retraining_policy AS p
 WHERE mlops.may(p.model, 'read');
COMMENT ON VIEW mlops.retraining_policy IS 'when models are trained again, from what, and whether what passes the gates serves';

CREATE VIEW mlops.retraining WITH (security_barrier) AS
SELECT r.model, r.number, r.why, r.as_of, mlops.run_status(r.status, r.pid, r.backend_start) AS status,
       r.from_version, r.version, r.deployment, r.message, r.detail, r.sqlstate, r.trained_by,
       r.requested_by, r.requested_at, r.started_at, r.finished_at
  FROM mlops_catalog.retraining AS r
 WHERE mlops.may(r.model, 'read');
COMMENT ON VIEW mlops.retraining IS
'trainings that a policy, a monitor or somebody asked for: open, running, trained, promoted, refused by gates, failed, cancelled or lost';

-- ---- how long a version stays good ----

CREATE FUNCTION mlops.live_by_age(model text, every interval, period interval, as_of timestamptz,
       OUT number integer, OUT role text, OUT version integer, OUT metric text, OUT value float8, OUT low float8, OUT high float8,
       OUT error float8, OUT n bigint, OUT predictions bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'mlops_live_by_age' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE COST 1000 ROWS 50;
COMMENT ON FUNCTION mlops.live_by_age(text, interval, interval, timestamptz) IS
'the primary metric of logged predictions by age of the version, of each and (version NULL) of all';
