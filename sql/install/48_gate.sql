-- Gates: what a version must show to be promoted, and who has approved it.

CREATE FUNCTION mlops_set_gate(model text, name text, metric text DEFAULT NULL,
       minimum float8 DEFAULT NULL, maximum float8 DEFAULT NULL,
       max_drop float8 DEFAULT NULL, min_gain float8 DEFAULT NULL,
       validation_set text DEFAULT NULL, slices text[] DEFAULT NULL, min_rows bigint DEFAULT 50,
       severity text DEFAULT 'block', proof text DEFAULT 'better', on_interval boolean DEFAULT false,
       query text DEFAULT NULL, timeout interval DEFAULT '10 seconds')
RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_set_gate(text, text, text, float8, float8, float8, float8, text, text[], bigint, text, text, boolean, text, interval) IS
'sets what a version must show to be promoted: bounds of a metric on a validation set, alone or against the active version, or a query that answers (passed boolean, explanation text); a gate of the same name is replaced';

CREATE FUNCTION mlops_drop_gate(model text, name text) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_drop_gate(text, text) IS
'takes a gate away';

CREATE FUNCTION mlops_check_gates(model text, version integer, threshold float8 DEFAULT NULL, rules integer DEFAULT NULL,
       OUT gate text, OUT verdict text, OUT severity text, OUT metric text,
       OUT validation_set text, OUT edition integer, OUT slice text,
       OUT value float8, OUT low float8, OUT high float8,
       OUT champion float8, OUT difference float8, OUT difference_low float8, OUT difference_high float8,
       OUT n bigint, OUT needed bigint, OUT explanation text)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_check_gates(text, integer, float8, integer) IS
'what the gates of a model say of a version now, without promoting it: pass, fail, cannot tell or skipped';

CREATE FUNCTION mlops_approve(model text, version integer, note text DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_approve(text, integer, text) IS
'says that the caller finds that a version may be promoted, by another role; needs the privilege promote';

CREATE VIEW mlops.gate WITH (security_barrier) AS
SELECT g.model, g.name, g.metric, g.minimum, g.maximum, g.max_drop, g.min_gain, g.validation_set, g.slices,
       g.min_rows, g.severity, g.proof, g.on_interval, g.query, g.timeout_ms, g.author, g.set_at
  FROM mlops_catalog.gate AS g
 WHERE mlops.may(g.model, 'read');
COMMENT ON VIEW mlops.gate IS 'what versions of a model must show to be promoted';

CREATE VIEW mlops.approval WITH (security_barrier) AS
SELECT a.model, a.version, a.approved_by, a.note, a.approved_at
  FROM mlops_catalog.approval AS a
 WHERE mlops.may(a.model, 'read');
COMMENT ON VIEW mlops.approval IS 'who has approved which version';
