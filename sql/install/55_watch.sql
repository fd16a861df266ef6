-- Watching what serves: outcomes, live quality, the canary beside the active version.

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
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
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

-- ---- erasing ----

CREATE FUNCTION mlops_forget(model text, key text) RETURNS bigint
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_forget(text, text) IS
'erases a key from the validation sets, pins, labels, failures, log and outcomes of a model and marks the editions altered; returns how many rows';
