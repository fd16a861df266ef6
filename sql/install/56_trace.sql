-- Time travel: what served then, how good it was, and where a logged prediction came from.

CREATE FUNCTION mlops.serving_at(model text, at timestamptz, OUT version integer, OUT threshold float8, OUT rules integer,
       OUT canary_version integer, OUT canary_share float8, OUT deployment integer, OUT since timestamptz,
       OUT until timestamptz, OUT deployed_by text, OUT reason text)
RETURNS SETOF record LANGUAGE plpgsql STABLE PARALLEL RESTRICTED ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM mlops.require(serving_at.model, 'read');
    -- a row with a share below 1 begins a canary beside what goes on to serve: the newest with a share of 1
    RETURN QUERY
    SELECT active.version, active.threshold, active.rules,
           CASE WHEN newest.share < 1 THEN newest.version END, CASE WHEN newest.share < 1 THEN newest.share END,
           newest.number, newest.deployed_at,
           (SELECT pg_catalog.min(d.deployed_at) FROM mlops.deployment AS d
             WHERE d.model = newest.model AND d.number > newest.number),
           newest.deployed_by, newest.reason
      FROM (SELECT d.* FROM mlops.deployment AS d
             WHERE d.model = serving_at.model AND d.deployed_at <= serving_at.at
             ORDER BY d.number DESC LIMIT 1) AS newest
      LEFT JOIN LATERAL (SELECT d.* FROM mlops.deployment AS d
                          WHERE d.model = newest.model AND d.number <= newest.number AND d.share = 1
                          ORDER BY d.number DESC LIMIT 1) AS active ON true;
END
$$;
COMMENT ON FUNCTION mlops.serving_at(text, timestamptz) IS 'what mlops_serving_at answers';

CREATE FUNCTION mlops_serving_at(model text, at timestamptz, OUT version integer, OUT threshold float8, OUT rules integer,
       OUT canary_version integer, OUT canary_share float8, OUT deployment integer, OUT since timestamptz,
       OUT until timestamptz, OUT deployed_by text, OUT reason text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'mlops_forward' LANGUAGE C STABLE CALLED ON NULL INPUT PARALLEL RESTRICTED ROWS 1;
COMMENT ON FUNCTION mlops_serving_at(text, timestamptz) IS
'the bundle that served at a moment, the canary beside it, and since when, until when and by whose decision; no row before anything served';

CREATE FUNCTION mlops.live_by_deployment(model text, period interval, as_of timestamptz,
       OUT number integer, OUT role text, OUT version integer, OUT metric text, OUT value float8, OUT low float8, OUT high float8,
       OUT error float8, OUT n bigint, OUT predictions bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'mlops_live_by_deployment' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE COST 1000 ROWS 20;
COMMENT ON FUNCTION mlops.live_by_deployment(text, interval, timestamptz) IS
'the primary metric of logged predictions by the deployment that they were made under';

CREATE FUNCTION mlops_performance_by_deployment(model text, period interval DEFAULT '1 year',
       as_of timestamptz DEFAULT pg_catalog.now(),
       OUT deployment integer, OUT role text, OUT version integer, OUT rules integer, OUT since timestamptz,
       OUT until timestamptz, OUT metric text, OUT value float8, OUT low float8, OUT high float8, OUT n bigint,
       OUT predictions bigint, OUT coverage float8)
RETURNS SETOF record LANGUAGE sql VOLATILE PARALLEL UNSAFE COST 1000 ROWS 20
SET search_path = pg_catalog, pg_temp
AS $$
SELECT l.number, l.role, l.version, d.rules, d.deployed_at,
       -- what is active goes on beside a canary
       (SELECT pg_catalog.min(n.deployed_at) FROM mlops.deployment AS n
         WHERE n.model = d.model AND n.number > d.number AND (n.share = 1 OR d.share < 1)),
       l.metric, l.value, l.low, l.high, l.n, l.predictions, l.n::float8 / l.predictions
  FROM mlops.live_by_deployment(mlops_performance_by_deployment.model, mlops_performance_by_deployment.period,
                                mlops_performance_by_deployment.as_of) AS l
  LEFT JOIN mlops.deployment AS d ON d.model = mlops_performance_by_deployment.model AND d.number = l.number
 ORDER BY l.number, l.role, l.version
$$;
COMMENT ON FUNCTION mlops_performance_by_deployment(text, interval, timestamptz) IS
'the live primary metric of each stretch of serving, under what served then';

CREATE FUNCTION mlops.logged_key(key text) RETURNS text
AS 'MODULE_PATHNAME', 'mlops_logged_key' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mlops.logged_key(text) IS 'a key as the log has it: a long one as its SHA-256';

CREATE FUNCTION mlops.trace(model text, key text, at timestamptz,
       OUT made_at timestamptz, OUT role text, OUT version integer, OUT deployment integer, OUT prediction float8, OUT label text,
       OUT threshold float8, OUT rules integer, OUT fired text[], OUT checks_failed text[], OUT shadows jsonb, OUT outcome text, OUT outcome_at timestamptz,
       OUT artifact text, OUT algorithm text, OUT source text, OUT data_fingerprint text, OUT rows_training bigint,
       OUT time_from text, OUT time_to text, OUT trained_by text, OUT trained_at timestamptz, OUT run uuid)
RETURNS SETOF record LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    policy text;                -- which of several outcomes counts
BEGIN
    PERFORM mlops.require(trace.model, 'read');
    SELECT m.settings ->> 'outcome_policy' INTO policy FROM mlops.model AS m WHERE m.model = trace.model;
    RETURN QUERY
    SELECT p.at, p.role, p.version, p.deployment, p.prediction, p.label,
           -- what a rule or the fallback answers has its version's own threshold
           CASE WHEN d.version = p.version THEN d.threshold ELSE v.threshold END, d.rules,
           CASE WHEN d.rules IS NOT NULL THEN COALESCE(mlops.rule_names(trace.model, d.number, p.rules_fired), '{}') END,
           CASE WHEN d.rules IS NOT NULL THEN COALESCE(mlops.check_names(trace.model, d.number, p.checks_failed), '{}') END,
           p.shadows, o.outcome, o.at, pg_catalog.encode(COALESCE(v.sha256, g.sha256), 'hex'), COALESCE(v.algorithm, g.algorithm), v.source,
           pg_catalog.encode(v.data_fingerprint, 'hex'), v.rows_training, v.time_from, v.time_to,
           COALESCE(v.trained_by, g.trained_by), COALESCE(v.trained_at, g.trained_at), v.run
      FROM (SELECT l.*, pg_catalog.lead(l.at) OVER (PARTITION BY l.role ORDER BY l.at) AS next_at
              FROM mlops.prediction AS l
             WHERE l.model = trace.model AND l.key = mlops.logged_key(trace.key)) AS p
      -- the bundle is that of the deployment, whichever version it had answer
      LEFT JOIN mlops.deployment AS d ON d.model = trace.model AND d.number = p.deployment
      LEFT JOIN mlops.version AS v ON v.model = trace.model AND v.version = p.version
      LEFT JOIN mlops.dropped_version AS g ON g.model = trace.model AND g.version = p.version AND g.trained_at <= p.at
      LEFT JOIN LATERAL (SELECT c.outcome, c.at FROM mlops.outcome AS c
                          WHERE c.model = trace.model AND c.key = p.key AND c.at >= p.at AND (p.next_at IS NULL OR c.at < p.next_at)
                          ORDER BY CASE WHEN policy = 'majority' THEN - pg_catalog.count(*) OVER (PARTITION BY c.outcome) END,
                                   CASE WHEN policy = 'majority' THEN c.outcome END,
                                   CASE WHEN policy = 'first' THEN c.at END, CASE WHEN policy = 'first' THEN c.recorded_at END,
                                   c.at DESC, c.recorded_at DESC
                          LIMIT 1) AS o ON true
     WHERE trace.at IS NULL OR (p.at <= trace.at AND (p.next_at IS NULL OR p.next_at > trace.at))
     ORDER BY p.at, p.role;
END
$$;
COMMENT ON FUNCTION mlops.trace(text, text, timestamptz) IS 'what mlops_trace answers';

CREATE FUNCTION mlops_trace(model text, key text, at timestamptz DEFAULT NULL,
       OUT made_at timestamptz, OUT role text, OUT version integer, OUT deployment integer, OUT prediction float8, OUT label text,
       OUT threshold float8, OUT rules integer, OUT fired text[], OUT checks_failed text[], OUT shadows jsonb, OUT outcome text, OUT outcome_at timestamptz,
       OUT artifact text, OUT algorithm text, OUT source text, OUT data_fingerprint text, OUT rows_training bigint,
       OUT time_from text, OUT time_to text, OUT trained_by text, OUT trained_at timestamptz, OUT run uuid)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'mlops_forward' LANGUAGE C STABLE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION mlops_trace(text, text, timestamptz) IS
'from the logged predictions of a key back to version, rules, threshold, what shadows said, artifact and training data; at: only what was the newest then, in each role';

DO $do$
DECLARE
    key text;
BEGIN
    FOREACH key IN ARRAY ARRAY['bigint', 'uuid'] LOOP
        EXECUTE pg_catalog.format($f$
            CREATE FUNCTION mlops_trace(model text, key %1$s, at timestamptz DEFAULT NULL,
                   OUT made_at timestamptz, OUT role text, OUT version integer, OUT deployment integer, OUT prediction float8, OUT label text,
                   OUT threshold float8, OUT rules integer, OUT fired text[], OUT checks_failed text[], OUT shadows jsonb, OUT outcome text, OUT outcome_at timestamptz,
                   OUT artifact text, OUT algorithm text, OUT source text, OUT data_fingerprint text, OUT rows_training bigint,
                   OUT time_from text, OUT time_to text, OUT trained_by text, OUT trained_at timestamptz, OUT run uuid)
            RETURNS SETOF record LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 10
            SET search_path = pg_catalog, pg_temp
            AS $b$ SELECT * FROM mlops_trace($1, $2::pg_catalog.text, $3) $b$
            $f$, key);
        EXECUTE pg_catalog.format('COMMENT ON FUNCTION mlops_trace(text, %s, timestamptz) IS %L', key,
            'from the logged predictions of a key back to version, rules, threshold, artifact and training data');
    END LOOP;
END
$do$;
