-- What predictions are measured by: mlops_metrics.

CREATE FUNCTION mlops_metrics(
    OUT metric text, OUT tasks text[], OUT higher_is_better boolean,
    OUT minimum float8, OUT maximum float8, OUT summary text)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mlops_metrics() IS 'metrics: for which tasks, which direction is better, range, formula';
