-- Training again: policies, and what became of the trainings that they asked for.

CREATE FUNCTION mlops_set_retraining(model text, every interval DEFAULT NULL, new_labels bigint DEFAULT NULL,
       drop float8 DEFAULT NULL, changes jsonb DEFAULT '{}', promote boolean DEFAULT false,
       period interval DEFAULT NULL, time_column text DEFAULT NULL, label_delay interval DEFAULT '0',
       pause interval DEFAULT '1 day', live_period interval DEFAULT '7 days', min_rows bigint DEFAULT 200,
       time_unit interval DEFAULT NULL, time_origin timestamptz DEFAULT NULL,
       as_of timestamptz DEFAULT pg_catalog.now())
RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_set_retraining(text, interval, bigint, float8, jsonb, boolean, interval, text, interval, interval, interval, bigint, interval, timestamptz, timestamptz) IS
'when ticks train a model again, as the caller: at an interval, after so many new labels, after a drop of the primary metric; from a moving window if a period is given';

CREATE FUNCTION mlops_drop_retraining(model text) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_drop_retraining(text) IS
'drops the retraining policy of a model; its history stays';

CREATE FUNCTION mlops_request_retraining(model text, reason text DEFAULT 'asked for', as_of timestamptz DEFAULT pg_catalog.now())
RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_request_retraining(text, text, timestamptz) IS
'has the next tick train a model again by its retraining policy; false if it will already';

CREATE VIEW mlops.retraining_policy WITH (security_barrier) AS
SELECT p.model, p.every, p.new_labels, p.drop, p.changes, p.promote, p.period, p.time_column,
       p.time_unit, p.time_origin, p.label_delay, p.pause, p.live_period, p.min_rows, p.author, p.as_of, p.set_at
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

CREATE FUNCTION mlops.quality_by_age(model text, every interval, period interval,
       as_of timestamptz,
       OUT version integer, OUT validation_set text, OUT age_from interval, OUT age_until interval, OUT metric text,
       OUT value float8, OUT low float8, OUT high float8, OUT n bigint,
       OUT fall float8, OUT fall_low float8, OUT fall_high float8)
RETURNS SETOF record LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE COST 1000 ROWS 50
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    width float8;             -- of a stretch, months of 30 days
BEGIN
    PERFORM mlops.require(quality_by_age.model, 'read');
    PERFORM mlops.require_window(quality_by_age.period, quality_by_age.as_of);
    width := NULLIF(EXTRACT(epoch FROM quality_by_age.every), 0);
    RETURN QUERY
    WITH born AS (
        -- trained; in a replay of the past, when the replay had it trained, or first knew of it
        SELECT v.version, LEAST(v.trained_at,
                   (SELECT pg_catalog.min(r.as_of) FROM mlops.retraining AS r WHERE r.model = v.model AND r.version = v.version),
                   (SELECT pg_catalog.min(d.as_of) FROM mlops.evaluation AS e JOIN mlops.edition AS d USING (model, validation_set, edition)
                     WHERE e.model = v.model AND e.version = v.version)) AS at
          FROM mlops.version AS v WHERE v.model = quality_by_age.model),
    evaluated AS (
        SELECT DISTINCT ON (e.version, e.validation_set, s.number)
               e.version, e.validation_set, s.number, e.metric, e.value, e.low, e.high, (e.high - e.low) / (2 * 1.959964) AS error, e.n
          FROM mlops.evaluation AS e JOIN mlops.edition AS d USING (model, validation_set, edition)
          JOIN mlops.model AS m ON m.model = e.model AND m.metric = e.metric
          JOIN born AS b ON b.version = e.version
         CROSS JOIN LATERAL (SELECT pg_catalog.floor(EXTRACT(epoch FROM d.as_of - b.at) / width)::int) AS s (number)
         WHERE e.model = quality_by_age.model AND e.slice = '' AND NOT e.stale AND e.value IS NOT NULL
           AND d.as_of <= quality_by_age.as_of AND d.as_of > quality_by_age.as_of - LEAST(quality_by_age.period, interval '1000 years')
         ORDER BY e.version, e.validation_set, s.number, d.as_of DESC, e.edition DESC),
    measured AS (
        SELECT l.version, NULL::text AS validation_set, l.number, l.metric, l.value, l.low, l.high, l.error, l.n
          FROM mlops.live_by_age(quality_by_age.model, quality_by_age.every, quality_by_age.period,
                                 quality_by_age.as_of) AS l
         WHERE l.value IS NOT NULL
         UNION ALL
        SELECT * FROM evaluated),
    young AS (
        SELECT DISTINCT ON (m.version, m.validation_set) m.* FROM measured AS m WHERE m.error IS NOT NULL
         ORDER BY m.version, m.validation_set, m.number)
    SELECT m.version, m.validation_set, m.number * quality_by_age.every, (m.number + 1) * quality_by_age.every,
           m.metric, m.value, m.low, m.high, m.n, f.fall, f.fall - f.half, f.fall + f.half
      FROM measured AS m
      LEFT JOIN mlops_metrics() AS k ON k.metric = m.metric
      LEFT JOIN young AS y ON y.version IS NOT DISTINCT FROM m.version AND y.validation_set IS NOT DISTINCT FROM m.validation_set
                          AND y.number < m.number
      -- of other rows: errors of independent samples add up; editions that share rows fall by less noise than that
      LEFT JOIN LATERAL (SELECT CASE WHEN k.higher_is_better THEN y.value - m.value ELSE m.value - y.value END,
                                1.959964 * pg_catalog.sqrt(y.error ^ 2 + m.error ^ 2)) AS f (fall, half) ON true
     ORDER BY m.validation_set NULLS FIRST, m.version NULLS FIRST, m.number;
END
$$;
COMMENT ON FUNCTION mlops.quality_by_age(text, interval, interval, timestamptz) IS 'what mlops_quality_by_age answers';

CREATE FUNCTION mlops_quality_by_age(model text, every interval DEFAULT '7 days', period interval DEFAULT '2 years',
       as_of timestamptz DEFAULT pg_catalog.now(),
       OUT version integer, OUT validation_set text, OUT age_from interval, OUT age_until interval, OUT metric text,
       OUT value float8, OUT low float8, OUT high float8, OUT n bigint,
       OUT fall float8, OUT fall_low float8, OUT fall_high float8)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'mlops_forward' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE COST 1000 ROWS 50;
COMMENT ON FUNCTION mlops_quality_by_age(text, interval, interval, timestamptz) IS
'the primary metric by age of the version, live and on validation sets, of all versions (NULL) and each; fall: since it was youngest, with its interval';
