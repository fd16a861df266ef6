-- Making and settling models, privileges, and the views of schema mlops.

-- ---- who may see what ----

CREATE FUNCTION mlops.may(model text, privilege text) RETURNS boolean
AS 'MODULE_PATHNAME', 'mlops_may' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION mlops.may(text, text) IS
'whether the current user has a privilege on a model: train, promote, read or predict';

CREATE FUNCTION mlops.require(model text, privilege text) RETURNS void
AS 'MODULE_PATHNAME', 'mlops_require' LANGUAGE C STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION mlops.require(text, text) IS
'raises an error unless the model is there and the current user has the privilege';

CREATE FUNCTION mlops.run_status(status text, pid integer, backend_start timestamptz) RETURNS text
AS 'MODULE_PATHNAME', 'mlops_run_status' LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION mlops.run_status(text, integer, timestamptz) IS
'status of a run: one that is running in a backend that is gone is lost';

-- ---- models ----

CREATE FUNCTION mlops_create_model(model text, target text DEFAULT NULL, metric text DEFAULT NULL,
       positive text DEFAULT NULL, description text DEFAULT NULL, settings jsonb DEFAULT '{}')
RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_create_model(text, text, text, text, text, jsonb) IS
'makes a model, owned by the current user, before its first training';

CREATE FUNCTION mlops_set_model(model text, settings jsonb) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_set_model(text, jsonb) IS
'changes settings of a model: description, metric, owner, positive, target, log_sample, log_input, log_without_key, outcome_policy, statistics; null takes one back';

CREATE FUNCTION mlops_drop_version(model text, version integer, reason text DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_drop_version(text, integer, text) IS
'drops a version that is not in use; mlops.dropped_version remembers it';

CREATE FUNCTION mlops_drop_model(model text, force boolean DEFAULT false, reason text DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_drop_model(text, boolean, text) IS
'drops a model with its versions, runs, history and grants; force if a version is active';

-- ---- privileges ----

CREATE FUNCTION mlops_grant(model text, role text, privilege text) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_grant(text, text, text) IS
'gives a role, or public, a privilege on a model: train, promote, read or predict';

CREATE FUNCTION mlops_revoke(model text, role text, privilege text) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_revoke(text, text, text) IS
'takes back what mlops_grant gave';

-- ---- views: each shows the rows of the models that the caller may see ----

CREATE VIEW mlops.model WITH (security_barrier) AS
SELECT m.name AS model, m.owner, m.target, m.task, m.metric, m.positive, m.description, m.settings,
       m.last_version, m.created_at
  FROM mlops_catalog.model AS m
 WHERE mlops.may(m.name, 'predict');
COMMENT ON VIEW mlops.model IS 'models on which the caller has any privilege';

CREATE VIEW mlops.privilege WITH (security_barrier) AS
SELECT p.model, p.grantee, p.privilege, p.grantor, p.granted_at
  FROM mlops_catalog.privilege AS p
 WHERE mlops.may(p.model, 'read');
COMMENT ON VIEW mlops.privilege IS 'who but its owner may do what with a model';

CREATE VIEW mlops.version WITH (security_barrier) AS
SELECT v.model, v.version, v.algorithm, v.task, v.target, v.threshold, v.scratch,
       v.training_metrics, v.holdout_metrics, v.baseline_metrics, v.facts, v.warnings,
       v.spec, v.params, v.source, v.columns, v.rows_read, v.rows_used, v.rows_skipped,
       v.rows_training, v.rows_holdout, v.rows_kept, v.time_from, v.time_to, v.seed, v.split,
       v.data_fingerprint, v.schema_fingerprint, v.row_security, v.durations, v.note,
       v.trained_by, v.trained_at, v.builds, v.run, v.sha256, v.artifact_format, v.artifact_size
  FROM mlops_catalog.version AS v
 WHERE mlops.may(v.model, 'read');
COMMENT ON VIEW mlops.version IS 'versions of models: spec, lineage, metrics and checksum of what scores';

CREATE VIEW mlops.training_profile WITH (security_barrier) AS
SELECT p.model, p.version, p.role, p.feature, p.kind, p.rows, p.missing, p.sampled,
       p.minimum, p.maximum, p.mean, p.deviation, p.edge, p.edge_rows, p.knot, p.knot_upto, p.knot_equal,
       p.bin_low, p.bin_high, p.bin_rows, p.level, p.level_rows, p.other_rows, p.other_levels
  FROM mlops_catalog.training_profile AS p
 WHERE mlops.may(p.model, 'read');
COMMENT ON VIEW mlops.training_profile IS 'what the training rows of a version looked like, column by column, and its predictions';

CREATE VIEW mlops.dropped_version WITH (security_barrier) AS
SELECT d.model, d.version, d.algorithm, d.trained_by, d.trained_at, d.dropped_by, d.dropped_at,
       d.reason, d.sha256
  FROM mlops_catalog.dropped_version AS d
 WHERE mlops.may(d.model, 'read');
COMMENT ON VIEW mlops.dropped_version IS 'versions that are gone, and who dropped them';

-- A run whose model was never made belongs to who trained; superusers and the extension's owner see every run.
CREATE VIEW mlops.run WITH (security_barrier) AS
SELECT r.id AS run, r.model, mlops.run_status(r.status, r.pid, r.backend_start) AS status, r.version,
       r.algorithm, r.spec, r.phase, r.done, r.total, r.objective, r.sqlstate, r.message,
       r.started_at, r.reported_at, r.finished_at, r.trained_by,
       r.search, r.candidate, r.rung, r.rows, r.metric, r.value, r.rung_values
  FROM mlops_catalog.run AS r
 WHERE mlops.may(r.model, 'read') OR r.trained_by OPERATOR(pg_catalog.=) current_user::pg_catalog.text
    OR EXISTS (SELECT FROM pg_catalog.pg_extension AS e
               WHERE e.extname OPERATOR(pg_catalog.=) 'mlops' AND pg_catalog.pg_has_role(e.extowner, 'USAGE'));
COMMENT ON VIEW mlops.run IS 'every attempt at training, and every search and its candidates: running, finished, failed, cancelled, lost, or dropped by its search';

CREATE VIEW mlops.training_progress WITH (security_barrier) AS
SELECT r.model, r.id AS run, r.pid, r.trained_by, r.algorithm, r.phase, r.done, r.total, r.objective,
       t.elapsed,
       CASE WHEN r.done OPERATOR(pg_catalog.>) 0 AND r.total OPERATOR(pg_catalog.>=) r.done
            THEN pg_catalog.date_part('epoch', r.reported_at OPERATOR(pg_catalog.-) r.phase_started_at)
                 OPERATOR(pg_catalog.*) (r.total OPERATOR(pg_catalog.-) r.done)::pg_catalog.float8
                 OPERATOR(pg_catalog./) r.done::pg_catalog.float8
       END AS seconds_left,
       r.started_at, r.reported_at
  FROM mlops_catalog.run AS r,
       LATERAL (SELECT pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) r.started_at AS elapsed) AS t
 WHERE r.status OPERATOR(pg_catalog.=) 'running'
   AND (mlops.may(r.model, 'read') OR r.trained_by OPERATOR(pg_catalog.=) current_user::pg_catalog.text
        OR EXISTS (SELECT FROM pg_catalog.pg_extension AS e
                   WHERE e.extname OPERATOR(pg_catalog.=) 'mlops' AND pg_catalog.pg_has_role(e.extowner, 'USAGE')))
   AND mlops.run_status(r.status, r.pid, r.backend_start) OPERATOR(pg_catalog.=) 'running';
COMMENT ON VIEW mlops.training_progress IS
'trainings that are running: phase, rows or passes done of total, objective; seconds_left is an estimate for the phase';

CREATE VIEW mlops.serving WITH (security_barrier) AS
SELECT s.model, s.version, s.threshold, s.rules, s.canary_version, s.canary_share,
       s.deployment, s.stack, s.changed_at, s.canary_threshold, s.canary_rules, s.canary_deployment, s.canary_salt,
       d.deployed_at
  FROM mlops_catalog.serving AS s
  LEFT JOIN mlops_catalog.deployment AS d ON d.model OPERATOR(pg_catalog.=) s.model AND d.number OPERATOR(pg_catalog.=) s.deployment
 WHERE s.version IS NOT NULL
   AND mlops.may(s.model, 'predict');
COMMENT ON VIEW mlops.serving IS 'what serves now; deployment, deployed_at: of the active bundle; changed_at: also of canary and shadows; stack: deployments that a rollback goes back to, the newest last';

CREATE VIEW mlops.alias WITH (security_barrier) AS
SELECT a.model, a.alias, a.version, a.set_by, a.set_at
  FROM mlops_catalog.alias AS a
 WHERE mlops.may(a.model, 'predict');
COMMENT ON VIEW mlops.alias IS 'names for versions: model@alias';

CREATE VIEW mlops.deployment WITH (security_barrier) AS
SELECT d.model, d.number, d.action, d.version, d.threshold, d.rules, d.share, d.from_version,
       d.from_deployment, d.restored_deployment, d.forced, d.evidence, d.reason,
       d.deployed_by, d.deployed_at, d.sha256, d.canary_salt
  FROM mlops_catalog.deployment AS d
 WHERE mlops.may(d.model, 'read');
COMMENT ON VIEW mlops.deployment IS 'history of what served: who, when, from, to, why; share below 1: a canary beside the bundle of from_deployment';
