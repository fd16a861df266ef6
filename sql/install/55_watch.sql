-- Watching what serves: the log of predictions, outcomes, live quality.

CREATE FUNCTION mlops.make_log_partitions(as_of timestamptz DEFAULT pg_catalog.clock_timestamp()) RETURNS boolean
AS 'MODULE_PATHNAME', 'mlops_make_log_partitions' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops.make_log_partitions(timestamptz) IS
'makes the partitions of the log for a day (UTC) and the next, as the log writer does; false if they are there';

CREATE FUNCTION mlops_prune_log(keep_days integer DEFAULT NULL, as_of timestamptz DEFAULT pg_catalog.now()) RETURNS integer
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_prune_log(integer, timestamptz) IS
'drops the days of the log that are older than keep_days (NULL: mlops.log_retention; 0 keeps all); how many';

CREATE FUNCTION mlops_log(OUT preloaded boolean, OUT calls bigint, OUT written bigint, OUT waiting bigint,
       OUT dropped bigint, OUT on_standby bigint, OUT without_model bigint, OUT unreachable bigint,
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

CREATE FUNCTION mlops_counted(OUT preloaded boolean, OUT counted bigint, OUT written bigint, OUT waiting bigint,
       OUT without_room bigint, OUT on_standby bigint, OUT without_model bigint, OUT unreachable bigint, OUT memory bigint)
RETURNS record
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION mlops_counted() IS
'what became of the calls that were counted in this database since the server started: counted is the sum of the others; memory: bytes of mlops.statistics_size in use';

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
CREATE FUNCTION mlops_checks(model text, period interval DEFAULT '1 day', as_of timestamptz DEFAULT pg_catalog.now(),
       OUT role text, OUT version integer, OUT rules integer, OUT name text, OUT kind text, OUT severity text, OUT column_name text,
       OUT bound float8, OUT rows bigint, OUT failed bigint, OUT share float8, OUT exceeded boolean)
RETURNS SETOF record LANGUAGE plpgsql STABLE STRICT PARALLEL RESTRICTED ROWS 30
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM mlops.require(mlops_checks.model, 'read');
    RETURN QUERY
    WITH served AS (
        SELECT c.role, c.version, c.rules, c."position", c.name, c.kind, c.severity, c.column_name, c.high, c.severity = 'drift' AS is_share
          FROM mlops.serving_check AS c WHERE c.model = mlops_checks.model
    ), counted AS (
        SELECT s.role, s.version, s.rules, pg_catalog.sum(s.rows - s.null_rows)::bigint AS rows, mlops.sum_counts(s.check_rows) AS failed
          FROM mlops.serving_statistics AS s
         WHERE s.model = mlops_checks.model AND s.until > mlops_checks.as_of - mlops_checks.period AND s.since < mlops_checks.as_of
         GROUP BY s.role, s.version, s.rules
    ), seen AS (
        SELECT h.role, h.version, h.feature, h.rows, h.missing, h.unseen
          FROM mlops_statistics(mlops_checks.model, mlops_checks.period, 1, mlops_checks.as_of) AS h WHERE h.subject = 'feature'
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

-- ---- outcomes ----

DO $$
DECLARE
    key text;
BEGIN
    FOREACH key IN ARRAY ARRAY['text', 'bigint', 'uuid'] LOOP
        EXECUTE pg_catalog.format(
            'CREATE FUNCTION mlops_record_outcome(model text, key %s, outcome text, at timestamptz DEFAULT pg_catalog.now(), '
            'source text DEFAULT NULL, annotator text DEFAULT NULL) RETURNS boolean '
            'AS %L LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE', key, 'MODULE_PATHNAME');
        EXECUTE pg_catalog.format(
            'COMMENT ON FUNCTION mlops_record_outcome(text, %s, text, timestamptz, text, text) IS %L', key,
            'records what came true for a key; false if no prediction of it is logged');
    END LOOP;
END
$$;

CREATE FUNCTION mlops_set_outcomes(model text, source text, key text DEFAULT 'key', outcome text DEFAULT 'outcome',
       time_column text DEFAULT 'at', lateness interval DEFAULT '1 day') RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_set_outcomes(text, text, text, text, text, interval) IS
'names the table or query, read as the caller, from which outcomes are pulled; NULL takes it back';

CREATE FUNCTION mlops_pull_outcomes(model text, as_of timestamptz DEFAULT pg_catalog.now(),
       OUT read bigint, OUT added bigint, OUT known bigint, OUT refused bigint, OUT unpredicted bigint)
RETURNS record
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_pull_outcomes(text, timestamptz) IS
'pulls the outcomes that are new since the last time; unpredicted: of keys without a logged prediction';

CREATE VIEW mlops.outcome WITH (security_barrier) AS
SELECT o.model, o.key, o.outcome, o.at, NULLIF(o.source, '') AS source, o.annotator, o.recorded_at
  FROM mlops_catalog.outcome AS o
 WHERE mlops.may(o.model, 'read');
COMMENT ON VIEW mlops.outcome IS 'what came true, by source and annotator; a key may have several outcomes';

CREATE VIEW mlops.outcome_source WITH (security_barrier) AS
SELECT s.model, s.source, s.key, s.outcome, s.time_column, s.lateness, s.author, s.pulled_until, s.pulled_at, s.set_at
  FROM mlops_catalog.outcome_source AS s
 WHERE mlops.may(s.model, 'read');
COMMENT ON VIEW mlops.outcome_source IS 'where outcomes are pulled from';

CREATE FUNCTION mlops_performance(model text, period interval DEFAULT '30 days', slices text[] DEFAULT NULL,
       every interval DEFAULT NULL, label_delay interval DEFAULT '0', metrics text[] DEFAULT NULL,
       as_of timestamptz DEFAULT pg_catalog.now(),
       OUT since timestamptz, OUT until timestamptz, OUT role text, OUT version integer, OUT slice text,
       OUT metric text, OUT value float8, OUT low float8, OUT high float8, OUT n bigint, OUT predictions bigint,
       OUT coverage float8, OUT delay_median interval, OUT delay_p90 interval, OUT agreement float8, OUT mature boolean)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE COST 1000 ROWS 20;
COMMENT ON FUNCTION mlops_performance(text, interval, text[], interval, interval, text[], timestamptz) IS
'live metrics with intervals by window, role, version and slice, from logged predictions and their outcomes; mature: few outcomes are still to come';

-- ---- a canary beside the active version ----

CREATE FUNCTION mlops_canary_report(model text, as_of timestamptz DEFAULT pg_catalog.now(),
       OUT side text, OUT version integer, OUT metric text, OUT value float8, OUT low float8, OUT high float8,
       OUT n bigint, OUT predictions bigint, OUT coverage float8, OUT p_value float8, OUT verdict text)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE COST 1000 ROWS 20;
COMMENT ON FUNCTION mlops_canary_report(text, timestamptz) IS
'the canary beside the active version since its share last changed: live metrics of both, their difference by a test that may be looked at at any time, the split of the keys';

CREATE FUNCTION mlops.sequential_difference(active float8, active_error float8, active_units float8, canary float8,
       canary_error float8, canary_units float8, alpha float8 DEFAULT 0.05, OUT low float8, OUT high float8, OUT p_value float8)
AS 'MODULE_PATHNAME', 'mlops_sequential_difference' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mlops.sequential_difference(float8, float8, float8, float8, float8, float8, float8) IS
'confidence sequence and always-valid p value of canary - active, from two estimates, their standard errors and their numbers of independent units';

CREATE FUNCTION mlops.sequential_share(ones bigint, zeros bigint, share float8, alpha float8 DEFAULT 0.05,
       OUT low float8, OUT high float8, OUT p_value float8)
AS 'MODULE_PATHNAME', 'mlops_sequential_share' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mlops.sequential_share(bigint, bigint, float8, float8) IS
'confidence sequence of the share of ones, and always-valid p value of the share that it should be';

-- ---- rollouts ----

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

-- ---- erasing ----

CREATE FUNCTION mlops_forget(model text, key text) RETURNS bigint
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_forget(text, text) IS
'erases a key from the validation sets, pins, labels, failures, log and outcomes of a model and marks the editions altered; returns how many rows';

-- ---- schedules ----

CREATE PROCEDURE mlops_tick(as_of timestamptz DEFAULT pg_catalog.now())
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON PROCEDURE mlops_tick(timestamptz) IS
'refreshes the validation sets that are due and evaluates what is in use on them, pulls outcomes, moves rollouts on, judges monitors, trains models again by their policies, drops old days of the log and old statistics; to be called by a scheduler';
