-- Monitors: what is watched of a model while it serves, and what was found.

CREATE FUNCTION mlops_measures(OUT what text, OUT unit text, OUT bound text, OUT feature text, OUT description text)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mlops_measures() IS
'what monitors can watch besides metrics; bound: which side is bad by itself; feature: whether one can or must be named';

CREATE FUNCTION mlops_set_monitor(model text, name text, what text, bound float8 DEFAULT NULL,
       period interval DEFAULT '1 day', min_rows bigint DEFAULT 50, action text DEFAULT 'alert',
       feature text DEFAULT NULL, minimum float8 DEFAULT NULL, maximum float8 DEFAULT NULL,
       label_delay interval DEFAULT '0', consecutive integer DEFAULT NULL, cooldown interval DEFAULT '1 day',
       every interval DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_set_monitor(text, text, text, float8, interval, bigint, text, text, float8, float8, interval, integer, interval, interval) IS
'watches a metric or measure of what serves, period by period; without a bound it is proposed from earlier periods; action: alert, rollback, fallback or retrain; a monitor of the same name is replaced';

CREATE FUNCTION mlops_drop_monitor(model text, name text) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_drop_monitor(text, text) IS
'takes a monitor away; its alerts stay, resolved';

CREATE FUNCTION mlops_set_default_monitors(model text, period interval DEFAULT '1 day', label_delay interval DEFAULT '0',
       action text DEFAULT 'alert')
RETURNS SETOF text
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_set_default_monitors(text, interval, interval, text) IS
'sets the monitors that every model should have, with bounds that they learn, unless monitors of these names are there; action: of the one that watches the quality';

CREATE FUNCTION mlops_acknowledge_alert(model text, alert integer, is_real boolean, note text DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_acknowledge_alert(text, integer, boolean, text) IS
'says of an alert that it was real, or that it was not: one that was not is resolved, and the monitor learns from its periods';

CREATE FUNCTION mlops_mute_alert(model text, alert integer, until timestamptz, note text DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_mute_alert(text, integer, timestamptz, text) IS
'leaves an alert open without further actions until a time; NULL ends that';

CREATE FUNCTION mlops_resolve_alert(model text, alert integer, note text DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_resolve_alert(text, integer, text) IS
'closes an alert, whatever its monitor sees; the next bad period opens another';

CREATE VIEW mlops.monitor_period WITH (security_barrier) AS
SELECT p.model, p.monitor, p.since, p.until, p.value, p.low, p.high, p.n, p.version, p.minimum, p.maximum,
       p.verdict, p.alert, p.note
  FROM mlops_catalog.monitor_period AS p
 WHERE mlops.may(p.model, 'read');
COMMENT ON VIEW mlops.monitor_period IS 'what monitors saw in each period, and the bounds by which they judged it';

CREATE VIEW mlops.alert WITH (security_barrier) AS
SELECT a.model, a.number AS alert, a.monitor,
       CASE WHEN a.resolved_at IS NOT NULL THEN 'resolved'
            WHEN a.muted_until IS NOT NULL AND (c.as_of IS NULL OR a.muted_until OPERATOR(pg_catalog.>) c.as_of) THEN 'muted'
            WHEN a.acknowledged_at IS NOT NULL THEN 'acknowledged'
            ELSE 'open' END AS state,
       a.what, a.feature, a.value, a.low, a.high, a.n, a.minimum, a.maximum, a.since, a.until, a.note,
       a.version, a.deployment, a.opened_at, a.action, a.done, a.made, a.acted_at,
       a.acknowledged_by, a.acknowledged_at, a.is_real, a.muted_until, a.resolved_by, a.resolved_at, a.comment
  FROM mlops_catalog.alert AS a
  LEFT JOIN mlops_catalog.monitor_clock AS c ON c.model OPERATOR(pg_catalog.=) a.model
 WHERE mlops.may(a.model, 'read');
COMMENT ON VIEW mlops.alert IS
'what monitors found, open, acknowledged, muted or resolved: what was seen in the period that opened it, against which bounds, and what was done';

CREATE VIEW mlops.monitor WITH (security_barrier) AS
SELECT m.model, m.name, m.what, m.feature,
       CASE WHEN m.error IS NOT NULL THEN 'failed'
            WHEN o.alert IS NOT NULL THEN o.state
            ELSE COALESCE(l.verdict, 'new') END AS state, l.verdict,
       m.minimum, m.maximum, m.minimum IS NULL AND m.maximum IS NULL AS learns,
       l.minimum AS minimum_now, l.maximum AS maximum_now, l.value, l.low, l.high, l.n, l.note,
       o.alert, s.alerts, s.acknowledged,
       s.confirmed::pg_catalog.float8 OPERATOR(pg_catalog./) NULLIF(s.acknowledged, 0)::pg_catalog.float8 AS precision,
       m.period, m.every, m.label_delay, m.min_rows, m.consecutive, m.action, m.cooldown, m.author, m.set_at,
       m.judged_until, m.error, m.error_at
  FROM mlops_catalog.monitor AS m
  LEFT JOIN LATERAL (SELECT p.verdict, p.minimum, p.maximum, p.value, p.low, p.high, p.n, p.note
                       FROM mlops_catalog.monitor_period AS p
                      WHERE p.model OPERATOR(pg_catalog.=) m.model AND p.monitor OPERATOR(pg_catalog.=) m.name
                      ORDER BY p.until DESC LIMIT 1) AS l ON true
  LEFT JOIN LATERAL (SELECT a.alert, a.state FROM mlops.alert AS a
                      WHERE a.model OPERATOR(pg_catalog.=) m.model AND a.monitor OPERATOR(pg_catalog.=) m.name
                        AND a.resolved_at IS NULL
                      ORDER BY a.alert DESC LIMIT 1) AS o ON true
 CROSS JOIN LATERAL (SELECT pg_catalog.count(*) AS alerts, pg_catalog.count(a.is_real) AS acknowledged,
                            pg_catalog.count(*) FILTER (WHERE a.is_real) AS confirmed
                       FROM mlops_catalog.alert AS a
                      WHERE a.model OPERATOR(pg_catalog.=) m.model AND a.monitor OPERATOR(pg_catalog.=) m.name) AS s
 WHERE mlops.may(m.model, 'read');
COMMENT ON VIEW mlops.monitor IS
'monitors, how their newest period looked, and how often what they found was real: precision, the confirmed share of the acknowledged alerts';
