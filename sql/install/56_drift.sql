-- Drift: do the rows that come now look like those that a model was trained on?

CREATE FUNCTION mlops_drift(model text, source text DEFAULT NULL, reference text DEFAULT NULL,
       period interval DEFAULT '7 days', min_effect float8 DEFAULT 0.1, min_impact float8 DEFAULT 0.01,
       min_rows integer DEFAULT 100, as_of timestamptz DEFAULT pg_catalog.now(),
       OUT role text, OUT feature text, OUT kind text, OUT n bigint, OUT n_reference bigint,
       OUT missing float8, OUT missing_reference float8, OUT unseen float8, OUT mean float8, OUT mean_reference float8,
       OUT psi float8, OUT ks float8, OUT tvd float8, OUT wasserstein float8, OUT js float8,
       OUT chi_square float8, OUT df integer, OUT p_value float8, OUT p_adjusted float8,
       OUT importance float8, OUT impact float8, OUT verdict text, OUT matters boolean, OUT reason text)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE COST 1000 ROWS 20;
COMMENT ON FUNCTION mlops_drift(text, text, text, interval, float8, float8, integer, timestamptz) IS
'compares a table or query (NULL: the log or the serving statistics of a period) with the rows that a version was trained on, or with a reference query, column by column';

-- ---- change of an error as it comes in ----

CREATE TYPE mlops.change AS (changes bigint, changed_at bigint, found_at bigint, before float8, after float8, width bigint, n bigint);
COMMENT ON TYPE mlops.change IS
'changes of a mean in a stream of n values: how many, the first value after the last one and the value at which it was found, the means before and after it, the values since';

CREATE FUNCTION mlops.adwin_accum(internal, float8) RETURNS internal
AS 'MODULE_PATHNAME', 'mlops_adwin_accum' LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION mlops.adwin_accum(internal, float8) IS 'transition function of mlops_adwin';
CREATE FUNCTION mlops.adwin_accum(internal, float8, float8) RETURNS internal
AS 'MODULE_PATHNAME', 'mlops_adwin_accum' LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION mlops.adwin_accum(internal, float8, float8) IS 'transition function of mlops_adwin';
CREATE FUNCTION mlops.adwin_final(internal) RETURNS mlops.change
AS 'MODULE_PATHNAME', 'mlops_adwin_final' LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION mlops.adwin_final(internal) IS 'final function of mlops_adwin';

CREATE AGGREGATE mlops_adwin(error float8) (SFUNC = mlops.adwin_accum, STYPE = internal, SSPACE = 9000,
    FINALFUNC = mlops.adwin_final, FINALFUNC_MODIFY = READ_ONLY);
COMMENT ON AGGREGATE mlops_adwin(float8) IS
'changes of the mean of values in their order, in constant memory (ADWIN2): mlops_adwin(error ORDER BY at)';
CREATE AGGREGATE mlops_adwin(error float8, delta float8) (SFUNC = mlops.adwin_accum, STYPE = internal, SSPACE = 9000,
    FINALFUNC = mlops.adwin_final, FINALFUNC_MODIFY = READ_ONLY);
COMMENT ON AGGREGATE mlops_adwin(float8, float8) IS
'the same; delta: the bound of false changes at a value, 0.002 by default';

CREATE FUNCTION mlops.live_error_change(model text, period interval, delta float8,
       as_of timestamptz,
       OUT version integer, OUT changes bigint, OUT changed_at timestamptz, OUT found_at timestamptz,
       OUT before float8, OUT after float8, OUT since bigint, OUT n bigint)
RETURNS record LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    policy text;                -- which of several outcomes counts
BEGIN
    PERFORM mlops.require(live_error_change.model, 'read');
    PERFORM mlops.require_window(live_error_change.period, live_error_change.as_of);
    IF NOT (live_error_change.delta OPERATOR(pg_catalog.>) 0 AND live_error_change.delta OPERATOR(pg_catalog.<) 1) THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'argument "delta" of mlops_live_error_change must be between 0 and 1',
            DETAIL = pg_catalog.format('It is %s: the chance of finding a change where there is none.', live_error_change.delta),
            HINT = 'Leave it out for 0.002; less is more careful.';
    END IF;
    SELECT m.settings OPERATOR(pg_catalog.->>) 'outcome_policy' INTO policy FROM mlops.model AS m
     WHERE m.model OPERATOR(pg_catalog.=) live_error_change.model;
    SELECT s.version INTO live_error_change.version FROM mlops.serving AS s
     WHERE s.model OPERATOR(pg_catalog.=) live_error_change.model;
    IF live_error_change.version IS NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = pg_catalog.format('model "%s" has no active version', live_error_change.model),
            DETAIL = 'The error is that of the active version''s answers.',
            HINT = pg_catalog.format('Promote one: SELECT mlops_promote(%L, version).', live_error_change.model);
    END IF;
    WITH p AS (
        SELECT l.at, l.key, l.prediction, l.label,
               pg_catalog.lead(l.at) OVER (PARTITION BY l.key ORDER BY l.at) AS next_at
          FROM mlops.prediction AS l
         WHERE l.model OPERATOR(pg_catalog.=) live_error_change.model
           AND l.version OPERATOR(pg_catalog.=) live_error_change.version
           AND l.role OPERATOR(pg_catalog.=) 'active' AND l.key IS NOT NULL
           AND l.at OPERATOR(pg_catalog.>=) (live_error_change.as_of OPERATOR(pg_catalog.-) LEAST(live_error_change.period, interval '1000 years'))
           AND l.at OPERATOR(pg_catalog.<) live_error_change.as_of),
    e AS (
        SELECT p.at, pg_catalog.row_number() OVER (ORDER BY p.at, p.key) AS place,
               CASE WHEN t.regression THEN pg_catalog.abs(p.prediction OPERATOR(pg_catalog.-) o.outcome::pg_catalog.float8)
                    ELSE (p.label IS DISTINCT FROM o.outcome)::pg_catalog.int4 END AS error
          FROM p
         CROSS JOIN (SELECT m.task OPERATOR(pg_catalog.=) 'regression' AS regression FROM mlops.model AS m
                      WHERE m.model OPERATOR(pg_catalog.=) live_error_change.model) AS t
         CROSS JOIN LATERAL (
               SELECT o.outcome FROM mlops.outcome AS o
                WHERE o.model OPERATOR(pg_catalog.=) live_error_change.model
                  AND o.key OPERATOR(pg_catalog.=) p.key AND o.at OPERATOR(pg_catalog.>=) p.at
                  AND o.at OPERATOR(pg_catalog.<=) live_error_change.as_of
                  AND (p.next_at IS NULL OR o.at OPERATOR(pg_catalog.<) p.next_at)
                ORDER BY CASE policy WHEN 'majority' THEN OPERATOR(pg_catalog.-) pg_catalog.count(*) OVER (PARTITION BY o.outcome) END,
                         CASE policy WHEN 'majority' THEN o.outcome END,
                         CASE policy WHEN 'first' THEN o.at END, CASE policy WHEN 'first' THEN o.recorded_at END,
                         o.at DESC, o.recorded_at DESC LIMIT 1) AS o
         WHERE p.prediction IS NOT NULL),
    c AS (SELECT mlops_adwin(e.error, live_error_change.delta ORDER BY e.place) AS change FROM e)
    SELECT COALESCE((c.change).changes, 0),
           (SELECT e.at FROM e WHERE e.place OPERATOR(pg_catalog.=) (c.change).changed_at),
           (SELECT e.at FROM e WHERE e.place OPERATOR(pg_catalog.=) (c.change).found_at),
           (c.change).before, (c.change).after, COALESCE((c.change).width, 0), COALESCE((c.change).n, 0)
      INTO live_error_change.changes, live_error_change.changed_at, live_error_change.found_at,
           live_error_change.before, live_error_change.after, live_error_change.since, live_error_change.n
      FROM c;
END
$$;
COMMENT ON FUNCTION mlops.live_error_change(text, interval, float8, timestamptz) IS 'what mlops_live_error_change answers';

CREATE FUNCTION mlops_live_error_change(model text, period interval DEFAULT '30 days', delta float8 DEFAULT 0.002,
       as_of timestamptz DEFAULT pg_catalog.now(),
       OUT version integer, OUT changes bigint, OUT changed_at timestamptz, OUT found_at timestamptz,
       OUT before float8, OUT after float8, OUT since bigint, OUT n bigint)
RETURNS record
AS 'MODULE_PATHNAME', 'mlops_forward' LANGUAGE C STABLE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_live_error_change(text, interval, float8, timestamptz) IS
'when the error of the active version''s logged answers last changed (ADWIN2): share of wrong labels, or mean absolute error, before and after';
