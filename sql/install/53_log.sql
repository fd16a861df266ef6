-- The log of predictions, and serving statistics, which need no log.

CREATE FUNCTION mlops.make_log_partitions(as_of timestamptz DEFAULT pg_catalog.clock_timestamp()) RETURNS boolean
AS 'MODULE_PATHNAME', 'mlops_make_log_partitions' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops.make_log_partitions(timestamptz) IS
'makes the partitions of the log for a day (UTC) and the next, as the log writer does; false if they are there';

CREATE FUNCTION mlops_prune_log(keep_days integer DEFAULT NULL, as_of timestamptz DEFAULT pg_catalog.now()) RETURNS integer
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_prune_log(integer, timestamptz) IS
'drops the days of the log that are older than keep_days (NULL: mlops.log_retention; 0 keeps all); how many';

CREATE FUNCTION mlops_log(OUT preloaded boolean, OUT calls bigint, OUT written bigint, OUT waiting bigint,
       OUT without_room bigint, OUT on_standby bigint, OUT without_model bigint, OUT unreachable bigint,
       OUT without_slot bigint, OUT writer boolean)
RETURNS record
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION mlops_log() IS
'what became of the calls that were to be logged in this database since the server started: calls is the sum of the others';

CREATE FUNCTION mlops_flush_log(timeout interval DEFAULT '10 seconds') RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_flush_log(interval) IS
'has the log written now and waits for it; false if calls still wait when the time is over';

-- sums of counts over parts of the day
CREATE FUNCTION mlops.add_counts(bigint[], bigint[]) RETURNS bigint[]
AS 'MODULE_PATHNAME', 'mlops_add_counts' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mlops.add_counts(bigint[], bigint[]) IS 'adds counts element by element';

CREATE AGGREGATE mlops.sum_counts(bigint[]) (
    SFUNC = mlops.add_counts,
    STYPE = bigint[],
    COMBINEFUNC = mlops.add_counts,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE mlops.sum_counts(bigint[]) IS 'counts added up element by element';

CREATE FUNCTION mlops_statistics(model text, period interval DEFAULT '1 day', bins integer DEFAULT 16,
       as_of timestamptz DEFAULT pg_catalog.now(),
       OUT role text, OUT version integer, OUT subject text, OUT feature text, OUT rows bigint, OUT missing float8,
       OUT unseen float8, OUT low float8, OUT high float8, OUT level text[], OUT histogram bigint[])
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C STABLE CALLED ON NULL INPUT PARALLEL RESTRICTED COST 1000 ROWS 30;
COMMENT ON FUNCTION mlops_statistics(text, interval, integer, timestamptz) IS
'what was counted of the calls of mlops_predict: by role, version and feature the shares missing and unseen in training, and a histogram';

CREATE FUNCTION mlops_counted(OUT preloaded boolean, OUT calls bigint, OUT written bigint, OUT waiting bigint,
       OUT without_room bigint, OUT on_standby bigint, OUT without_model bigint, OUT unreachable bigint, OUT memory bigint)
RETURNS record
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION mlops_counted() IS
'what became of the calls that were counted in this database since the server started: calls is the sum of the others; memory: bytes of mlops.statistics_size in use';

CREATE FUNCTION mlops_flush_statistics(timeout interval DEFAULT '10 seconds') RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_flush_statistics(interval) IS
'has serving statistics written now and waits for it; false if some still wait when the time is over';

CREATE VIEW mlops.serving_statistics WITH (security_barrier) AS
SELECT s.model, s.version, s.role, s.since, s.until, s.counted_at, s.rules, s.rows, s.null_rows,
       s.label, s.label_rows, s.other_labels, s.rule_rows, s.rule_errors, s.check_rows, s.barred
  FROM mlops_catalog.serving_statistics AS s
  JOIN mlops_catalog.model AS m ON m.name OPERATOR(pg_catalog.=) s.model AND m.created_at OPERATOR(pg_catalog.<=) s.counted_at
 WHERE mlops.may(s.model, 'read');
COMMENT ON VIEW mlops.serving_statistics IS 'calls of mlops_predict by part of the day: rows, labels given, rules fired';

CREATE VIEW mlops.serving_histogram WITH (security_barrier) AS
SELECT h.model, h.version, h.role, h.since, h.until, h.counted_at, h.subject, h.feature, h.kind, h.rows, h.missing, h.binned,
       h.bin_low, h.bin_high, h.bin_rows, h.level, h.level_rows, h.other_rows
  FROM mlops_catalog.serving_histogram AS h
  JOIN mlops_catalog.model AS m ON m.name OPERATOR(pg_catalog.=) h.model AND m.created_at OPERATOR(pg_catalog.<=) h.counted_at
 WHERE mlops.may(h.model, 'read');
COMMENT ON VIEW mlops.serving_histogram IS 'features and predictions of these calls: missing values, and counts in the bins and levels of training';

-- what was written while the model before one of the same name was dropped is nobody's
CREATE VIEW mlops.prediction WITH (security_barrier) AS
SELECT p.at, p.model, p.version, p.role, p.deployment, p.key, p.prediction, p.label, p.rules_fired,
       p.rule_errors, p.checks_failed, p.latency_us, p.input, p.shadows
  FROM mlops_catalog.prediction AS p
  JOIN mlops_catalog.model AS m ON m.name OPERATOR(pg_catalog.=) p.model AND m.created_at OPERATOR(pg_catalog.<=) p.at
 WHERE mlops.may(p.model, 'read');
COMMENT ON VIEW mlops.prediction IS 'logged predictions; input only where the setting log_input of the model was on; shadows: what shadows of the model said of the row, by name';

CREATE FUNCTION mlops.rule_names(model text, deployment integer, fired bigint) RETURNS text[]
LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT pg_catalog.array_agg(r.rule OPERATOR(pg_catalog.->>) 'name' ORDER BY r.place)
      FROM mlops.deployment AS d
      JOIN mlops.rule_set AS s ON s.model OPERATOR(pg_catalog.=) d.model AND s.number OPERATOR(pg_catalog.=) d.rules,
           LATERAL pg_catalog.jsonb_array_elements(CASE pg_catalog.jsonb_typeof(s.rules) WHEN 'object' THEN s.rules OPERATOR(pg_catalog.->) 'rules' ELSE s.rules END)
                   WITH ORDINALITY AS r(rule, place)
     WHERE d.model OPERATOR(pg_catalog.=) $1 AND d.number OPERATOR(pg_catalog.=) $2
       AND ($3 OPERATOR(pg_catalog.>>) (r.place OPERATOR(pg_catalog.-) 1)::pg_catalog.int4) OPERATOR(pg_catalog.&) 1 OPERATOR(pg_catalog.=) 1
$$;
COMMENT ON FUNCTION mlops.rule_names(text, integer, bigint) IS
'the rules that bits of rules_fired or rule_errors in mlops.prediction stand for, by the deployment of the row; NULL: none';

CREATE FUNCTION mlops.check_names(model text, deployment integer, failed bigint) RETURNS text[]
LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT pg_catalog.array_agg(c.value OPERATOR(pg_catalog.->>) 'name' ORDER BY c.place)
      FROM mlops.deployment AS d
      JOIN mlops.rule_set AS s ON s.model OPERATOR(pg_catalog.=) d.model AND s.number OPERATOR(pg_catalog.=) d.rules,
           LATERAL pg_catalog.jsonb_array_elements(s.checks) WITH ORDINALITY AS c(value, place)
     WHERE d.model OPERATOR(pg_catalog.=) $1 AND d.number OPERATOR(pg_catalog.=) $2
       AND ($3 OPERATOR(pg_catalog.>>) (c.place OPERATOR(pg_catalog.-) 1)::pg_catalog.int4) OPERATOR(pg_catalog.&) 1 OPERATOR(pg_catalog.=) 1
$$;
COMMENT ON FUNCTION mlops.check_names(text, integer, bigint) IS
'the checks that bits of checks_failed in mlops.prediction stand for, by the deployment of the row; NULL: none';

-- period and as_of as in mlops_statistics, whose counts these are: parts of the day that touch the period
CREATE FUNCTION mlops.require_window(period interval, as_of timestamptz) RETURNS void
AS 'MODULE_PATHNAME', 'mlops_require_window' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mlops.require_window(interval, timestamptz) IS 'raises 22023 unless a window of that length ends then';

CREATE FUNCTION mlops.checks(model text, period interval, as_of timestamptz,
       OUT role text, OUT version integer, OUT rules integer, OUT name text, OUT kind text, OUT severity text, OUT column_name text,
       OUT bound float8, OUT rows bigint, OUT failed bigint, OUT share float8, OUT exceeded boolean)
RETURNS SETOF record LANGUAGE plpgsql STABLE PARALLEL RESTRICTED ROWS 30
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM mlops.require(checks.model, 'read');
    PERFORM mlops.require_window(checks.period, checks.as_of);
    RETURN QUERY
    WITH served AS (
        SELECT c.role, c.version, c.rules, c."position", c.name, c.kind, c.severity, c.column_name, c.high, c.severity = 'drift' AS is_share
          FROM mlops.serving_check AS c WHERE c.model = checks.model
    ), counted AS (
        SELECT s.role, s.version, s.rules, pg_catalog.sum(s.rows - s.null_rows)::bigint AS rows, mlops.sum_counts(s.check_rows) AS failed
          FROM mlops.serving_statistics AS s
         WHERE s.model = checks.model AND s.until > checks.as_of - LEAST(checks.period, interval '1000 years') AND s.since < checks.as_of
         GROUP BY s.role, s.version, s.rules
    ), seen AS (
        SELECT h.role, h.version, h.feature, h.rows, h.missing, h.unseen
          FROM mlops_statistics(checks.model, checks.period, 1, checks.as_of) AS h WHERE h.subject = 'feature'
    ), row_checks AS (
        SELECT v.role, v.version, v.rules, v."position", v.name, v.kind, v.severity,
               CASE WHEN pg_catalog.count(*) = 1 THEN pg_catalog.max(v.column_name) END AS column_name
          FROM served AS v WHERE NOT v.is_share GROUP BY v.role, v.version, v.rules, v."position", v.name, v.kind, v.severity
    ), results AS (
        SELECT r.role, r.version, r.rules, r."position", r.name, r.kind, r.severity, r.column_name, NULL::float8 AS bound,
               COALESCE(t.rows, 0) AS rows, COALESCE(t.failed[r."position" + 1], 0) AS failed
          FROM row_checks AS r LEFT JOIN counted AS t ON t.role = r.role AND t.version = r.version AND t.rules = r.rules
        UNION ALL
        SELECT v.role, v.version, v.rules, v."position", v.name, v.kind, v.severity, v.column_name, v.high, COALESCE(n.rows, 0),
               COALESCE(pg_catalog.round(n.rows * CASE v.kind WHEN 'missing_share' THEN n.missing ELSE n.unseen END), 0)::bigint
          FROM served AS v LEFT JOIN seen AS n ON n.role = v.role AND n.version = v.version AND n.feature = v.column_name
         WHERE v.is_share
    )
    SELECT r.role, r.version, r.rules, r.name, r.kind, r.severity, r.column_name, r.bound, r.rows, r.failed,
           r.failed / NULLIF(r.rows, 0)::float8, r.failed / NULLIF(r.rows, 0)::float8 > r.bound
      FROM results AS r ORDER BY r.role, r."position", r.column_name COLLATE "C";
END
$$;
COMMENT ON FUNCTION mlops.checks(text, interval, timestamptz) IS 'what mlops_checks answers';

CREATE FUNCTION mlops_checks(model text, period interval DEFAULT '1 day', as_of timestamptz DEFAULT pg_catalog.now(),
       OUT role text, OUT version integer, OUT rules integer, OUT name text, OUT kind text, OUT severity text, OUT column_name text,
       OUT bound float8, OUT rows bigint, OUT failed bigint, OUT share float8, OUT exceeded boolean)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'mlops_forward' LANGUAGE C STABLE CALLED ON NULL INPUT PARALLEL RESTRICTED ROWS 30;
COMMENT ON FUNCTION mlops_checks(text, interval, timestamptz) IS
'how the checks that serve did on the calls of mlops_predict of a period: rows, how many failed, and whether a share exceeds its bound';

CREATE VIEW mlops.log_gap AS
SELECT g.at, g.reason, g.calls FROM mlops_catalog.log_gap AS g;
COMMENT ON VIEW mlops.log_gap IS 'how many calls, of any model, were counted and not logged until a moment, and why';

CREATE FUNCTION mlops_score(model text, source text, key text DEFAULT NULL,
       OUT key text, OUT prediction float8, OUT label text, OUT version integer, OUT role text)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE COST 1000 ROWS 1000;
COMMENT ON FUNCTION mlops_score(text, text, text) IS
'scores a table or query and logs it in the transaction of the caller; key: the column that names the rows';
