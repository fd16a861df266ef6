-- Shadows: versions that are asked beside the active one and never shown.

CREATE FUNCTION mlops_shadow(model text, version integer, name text DEFAULT NULL, enabled boolean DEFAULT true,
       share float8 DEFAULT 0.1, acknowledge text DEFAULT NULL)
RETURNS text
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_shadow(text, integer, text, boolean, float8, text) IS
'has a version asked beside the active one for a share of the logged calls, never shown, and returns the reference to it; enabled => false takes it away';

CREATE VIEW mlops.shadow WITH (security_barrier) AS
SELECT w.model, w.name, w.version, w.threshold, w.share,
       w.version IS NOT DISTINCT FROM s.version AS is_active, w.set_by, w.set_at
  FROM mlops_catalog.shadow AS w
  JOIN mlops_catalog.serving AS s ON s.model OPERATOR(pg_catalog.=) w.model
 WHERE mlops.may(w.model, 'predict');
COMMENT ON VIEW mlops.shadow IS 'shadows, model@shadow.name; one that is active has been promoted, and is not asked as a shadow meanwhile';

CREATE VIEW mlops.shadow_event WITH (security_barrier) AS
SELECT e.model, e.number, e.event, e.name, e.version, e.share, e.reason, e.caused_by, e.at
  FROM mlops_catalog.shadow_event AS e
 WHERE mlops.may(e.model, 'read');
COMMENT ON VIEW mlops.shadow_event IS 'history of shadows: set, removed, and comparisons acknowledged, with the reason';

CREATE VIEW mlops.shadow_cost WITH (security_barrier) AS
SELECT c.model, c.day, c.name, c.version,
       pg_catalog.sum(c.calls)::pg_catalog.int8 AS calls, pg_catalog.sum(c.failed)::pg_catalog.int8 AS failed,
       pg_catalog.sum(c.skipped)::pg_catalog.int8 AS skipped,
       pg_catalog.sum(c.microseconds) OPERATOR(pg_catalog./)
       NULLIF(pg_catalog.sum(c.calls OPERATOR(pg_catalog.-) c.failed OPERATOR(pg_catalog.-) c.skipped), 0)::pg_catalog.float8 AS mean_us
  FROM mlops_catalog.shadow_cost AS c
 WHERE mlops.may(c.model, 'read')
 GROUP BY c.model, c.day, c.name, c.version;
COMMENT ON VIEW mlops.shadow_cost IS 'logged calls of shadows by day (UTC), and the mean time of those that neither failed nor were skipped';

CREATE FUNCTION mlops_shadow_report(model text, period interval DEFAULT '7 days', as_of timestamptz DEFAULT pg_catalog.now(),
       OUT shadow text, OUT version integer, OUT calls bigint, OUT ok bigint, OUT failed bigint, OUT skipped bigint, OUT statuses jsonb,
       OUT mean_us float8, OUT p95_us float8, OUT agreement float8, OUT difference float8, OUT n bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE COST 1000 ROWS 5;
COMMENT ON FUNCTION mlops_shadow_report(text, interval, timestamptz) IS
'what shadows did in a period of the log: calls by status, their time, and on the n rows that no rule touched how often the labels agreed and how far predictions lay from those given';

CREATE FUNCTION mlops_compare_live(model text, shadow text, period interval DEFAULT '30 days', champion integer DEFAULT NULL,
       metrics text[] DEFAULT NULL, slices text[] DEFAULT NULL, label_delay interval DEFAULT '0', acknowledge text DEFAULT NULL,
       as_of timestamptz DEFAULT pg_catalog.now(),
       OUT slice text, OUT metric text, OUT candidate float8, OUT champion float8, OUT difference float8, OUT low float8, OUT high float8,
       OUT p_value float8, OUT n bigint, OUT needed bigint, OUT predictions bigint,
       OUT always_low float8, OUT always_high float8, OUT always_p_value float8)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE COST 1000 ROWS 10;
COMMENT ON FUNCTION mlops_compare_live(text, text, interval, integer, text[], text[], interval, text, timestamptz) IS
'a shadow, by name or version, and the active version on the same logged calls whose outcomes are known: differences with intervals of 95 % and p values of one look, and with always_... those of all looks';
