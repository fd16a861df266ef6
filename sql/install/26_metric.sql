-- What predictions are measured by: mlops_metrics; aggregates that are
-- registered as metrics.

CREATE FUNCTION mlops_metrics(
    OUT metric text, OUT tasks text[], OUT higher_is_better boolean,
    OUT minimum float8, OUT maximum float8, OUT summary text, OUT author text)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION mlops_metrics() IS 'metrics: for which tasks, which direction is better, range, formula; author of those that were registered';

CREATE FUNCTION mlops_create_metric(name text, aggregate text, higher_is_better boolean,
       columns text[] DEFAULT NULL, tasks text[] DEFAULT NULL, minimum float8 DEFAULT NULL,
       maximum float8 DEFAULT NULL, description text DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_create_metric(text, text, boolean, text[], text[], float8, float8, text) IS
'registers an aggregate over (prediction, label [, columns of the row]) as a metric, which runs as the current user';

CREATE FUNCTION mlops_drop_metric(name text) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_drop_metric(text) IS 'takes back what mlops_create_metric registered; the aggregate stays';

CREATE VIEW mlops.metric WITH (security_barrier) AS
SELECT m.name AS metric, m.aggregate, m.columns, m.tasks, m.higher_is_better, m.minimum, m.maximum,
       m.description, m.author, m.settings, m.created_at
  FROM mlops_catalog.metric AS m;
COMMENT ON VIEW mlops.metric IS 'aggregates that are registered as metrics, and who they run as';

-- ---- states of metrics ----
