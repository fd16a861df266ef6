-- One line a model: what serves, how good it is, how it is watched.

CREATE FUNCTION mlops.log_preloaded() RETURNS boolean
AS 'MODULE_PATHNAME', 'mlops_log_preloaded' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mlops.log_preloaded() IS 'whether the server can log calls of mlops_predict: shared_preload_libraries has mlops';

CREATE FUNCTION mlops.log_scope(settings jsonb) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE WHEN l.share = 0 THEN 'off'
            WHEN NOT mlops.log_preloaded() THEN 'mlops_score only: mlops is not in shared_preload_libraries'
            WHEN l.share IS NULL THEN 'mlops_score only'
            ELSE CASE WHEN l.share < 1 THEN pg_catalog.trim_scale(l.share * 100)::text || ' % of ' ELSE '' END ||
                 CASE WHEN settings -> 'log_without_key' = 'true' THEN 'all calls' ELSE 'calls with a key' END END
  FROM (SELECT (settings ->> 'log_sample')::numeric) AS l (share)
$$;
COMMENT ON FUNCTION mlops.log_scope(jsonb) IS 'which calls of a model are logged, in words, from its settings';

CREATE FUNCTION mlops.statistics_scope(settings jsonb) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE WHEN (settings -> 'statistics' = 'true') IS NOT TRUE THEN 'off'
            WHEN NOT mlops.log_preloaded() THEN 'none: mlops is not in shared_preload_libraries'
            ELSE 'all calls of mlops_predict' END
$$;
COMMENT ON FUNCTION mlops.statistics_scope(jsonb) IS 'which calls of a model are counted in serving statistics, in words, from its settings';

CREATE FUNCTION mlops.shadow_scope(model text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT w.n || CASE WHEN c.calls > 0 THEN
              COALESCE(': ' || pg_catalog.round(c.mean_us::numeric, 1) || ' us a call', ': none answered') || ', ' ||
              pg_catalog.round(100 * c.failed / c.calls, 1) || ' % failed, ' ||
              pg_catalog.round(100 * c.skipped / c.calls, 1) || ' % skipped' ELSE '' END
  FROM (SELECT pg_catalog.count(*) AS n FROM mlops.shadow AS s WHERE s.model = $1) AS w,
       (SELECT pg_catalog.sum(d.calls) AS calls, pg_catalog.sum(d.failed) AS failed, pg_catalog.sum(d.skipped) AS skipped,
               pg_catalog.sum(d.mean_us * (d.calls - d.failed - d.skipped)) /
               NULLIF(pg_catalog.sum(d.calls - d.failed - d.skipped), 0)::float8 AS mean_us
          FROM mlops.shadow_cost AS d
         WHERE d.model = $1 AND d.day >= (pg_catalog.now() AT TIME ZONE 'UTC')::date - 7) AS c
 WHERE w.n > 0
$$;
COMMENT ON FUNCTION mlops.shadow_scope(text) IS
'how many shadows a model has, and of their logged calls of the last seven days the mean time and the shares that failed or were skipped, in words';

CREATE FUNCTION mlops_status(OUT model text, OUT version integer, OUT threshold float8, OUT rules integer,
       OUT deployed_at timestamptz, OUT canary integer, OUT canary_share float8, OUT fallback integer, OUT shadows text,
       OUT algorithm text, OUT metric text, OUT value float8, OUT slo text, OUT alerts bigint, OUT log text, OUT statistics text,
       OUT trained_at timestamptz, OUT versions bigint, OUT last_run text)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
SELECT m.model, s.version, s.threshold, s.rules, s.deployed_at, s.canary_version, s.canary_share,
       (SELECT a.version FROM mlops.alias AS a
         WHERE a.model OPERATOR(pg_catalog.=) m.model AND a.alias OPERATOR(pg_catalog.=) 'fallback'),
       mlops.shadow_scope(m.model), v.algorithm, m.metric,
       CASE WHEN pg_catalog.jsonb_typeof(v.holdout_metrics OPERATOR(pg_catalog.->) m.metric)
                 OPERATOR(pg_catalog.=) 'number'
            THEN (v.holdout_metrics OPERATOR(pg_catalog.->>) m.metric)::pg_catalog.float8 END,
       CASE WHEN m.settings ? 'slo' AND mlops.may(m.model, 'read') THEN COALESCE(
           (SELECT CASE WHEN o.verdict = 'no data' THEN NULL
                        WHEN o.value >= o.minimum_now OR o.value <= o.maximum_now THEN 'met'
                        WHEN o.value IS NOT NULL THEN 'not met' END
              FROM mlops.monitor AS o WHERE o.model OPERATOR(pg_catalog.=) m.model AND o.name OPERATOR(pg_catalog.=) 'slo'),
           'unknown') END,
       CASE WHEN mlops.may(m.model, 'read')
            THEN (SELECT pg_catalog.count(*) FROM mlops.alert AS t
                   WHERE t.model OPERATOR(pg_catalog.=) m.model AND t.state OPERATOR(pg_catalog.<>) 'resolved') END,
       mlops.log_scope(m.settings), mlops.statistics_scope(m.settings), v.trained_at,
       CASE WHEN mlops.may(m.model, 'read')
            THEN (SELECT pg_catalog.count(*) FROM mlops.version AS n WHERE n.model OPERATOR(pg_catalog.=) m.model) END,
       (SELECT r.status FROM mlops.run AS r WHERE r.model OPERATOR(pg_catalog.=) m.model
         ORDER BY r.started_at DESC LIMIT 1)
  FROM mlops.model AS m
  LEFT JOIN mlops.serving AS s ON s.model OPERATOR(pg_catalog.=) m.model
  LEFT JOIN mlops.version AS v ON v.model OPERATOR(pg_catalog.=) s.model
                              AND v.version OPERATOR(pg_catalog.=) s.version
 ORDER BY m.model COLLATE "C"
$$;
COMMENT ON FUNCTION mlops_status() IS
'one line a model: what serves and since when, canary, shadows, its primary metric on the hold-out (value), whether its slo is met, open alerts, what is logged and what is counted, versions, the last training';
