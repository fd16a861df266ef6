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

CREATE TYPE mlops.metric_state;

CREATE FUNCTION mlops.metric_state_in(cstring) RETURNS mlops.metric_state
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'mlops_metric_state_in';
COMMENT ON FUNCTION mlops.metric_state_in(cstring) IS 'a state of a metric from its text';

CREATE FUNCTION mlops.metric_state_out(mlops.metric_state) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'mlops_metric_state_out';
COMMENT ON FUNCTION mlops.metric_state_out(mlops.metric_state) IS 'a state of a metric as text: its bytes in hexadecimal digits';

CREATE FUNCTION mlops.metric_state_recv(internal) RETURNS mlops.metric_state
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'mlops_metric_state_recv';
COMMENT ON FUNCTION mlops.metric_state_recv(internal) IS 'a state of a metric from its bytes';

CREATE FUNCTION mlops.metric_state_send(mlops.metric_state) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'mlops_metric_state_send';
COMMENT ON FUNCTION mlops.metric_state_send(mlops.metric_state) IS 'the bytes of a state of a metric';

CREATE TYPE mlops.metric_state (
    INPUT = mlops.metric_state_in, OUTPUT = mlops.metric_state_out,
    RECEIVE = mlops.metric_state_recv, SEND = mlops.metric_state_send,
    INTERNALLENGTH = VARIABLE, ALIGNMENT = double, STORAGE = extended
);
COMMENT ON TYPE mlops.metric_state IS 'what rows add up to in a metric; see docs/metrics.md';

CREATE FUNCTION mlops.merge(state mlops.metric_state, other mlops.metric_state) RETURNS mlops.metric_state
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'mlops_metric_state_merge';
COMMENT ON FUNCTION mlops.merge(mlops.metric_state, mlops.metric_state) IS 'the state of the rows of both';

CREATE FUNCTION mlops.final(state mlops.metric_state) RETURNS jsonb
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'mlops_metric_state_final';
COMMENT ON FUNCTION mlops.final(mlops.metric_state) IS 'the metric of a state: value, what it can be at least and at most, rows';

CREATE AGGREGATE mlops.merge(mlops.metric_state) (
    SFUNC = mlops.merge, STYPE = mlops.metric_state, COMBINEFUNC = mlops.merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE mlops.merge(mlops.metric_state) IS 'the state of the rows of all';

-- ---- aggregates ----
--
-- For each metric X and what it takes: mlops_X(...), the value, and
-- mlops_X_state(...), the state. Those of one transition function and the same
-- arguments share their state in a query. Metrics that need rows in the order
-- of their scores sort them, in a state that is no value: the only ones that
-- cannot be spread over workers.

DO $$
DECLARE
    f record;
    arguments text;
    names text;
BEGIN
    -- what is added to a state, by C function and arguments
    FOR f IN
        SELECT * FROM (VALUES
            ('cells', 'float8, boolean'), ('cells', 'float8, boolean, float8'), ('cells', 'float8, boolean, float8, float8'),
            ('bins', 'float8, boolean'), ('bins', 'float8, boolean, float8'),
            ('log_loss', 'float8, boolean'), ('log_loss', 'float8, boolean, float8'),
            ('brier', 'float8, boolean'), ('brier', 'float8, boolean, float8'),
            ('ranked', 'float8, boolean'), ('ranked', 'float8, boolean, float8'),
            ('share', 'float8, boolean, float8'), ('share', 'float8, boolean, float8, float8'),
            ('squared', 'float8, float8'), ('squared', 'float8, float8, float8'),
            ('absolute', 'float8, float8'), ('absolute', 'float8, float8, float8'),
            ('percentage', 'float8, float8'), ('percentage', 'float8, float8, float8'),
            ('symmetric', 'float8, float8'), ('symmetric', 'float8, float8, float8'),
            ('poisson', 'float8, float8'), ('poisson', 'float8, float8, float8'),
            ('gamma', 'float8, float8'), ('gamma', 'float8, float8, float8'),
            ('pinball', 'float8, float8, float8'), ('pinball', 'float8, float8, float8, float8'),
            ('largest', 'float8, float8'), ('largest', 'float8, float8, float8'),
            ('moments', 'float8, float8'), ('moments', 'float8, float8, float8'),
            ('ranked_error', 'float8, float8'), ('ranked_error', 'float8, float8, float8'),
            ('table', 'text, text'), ('table', 'text, text, float8'),
            ('positive', 'text, text, text'), ('positive', 'text, text, text, float8'),
            ('array_log_loss', 'float8[], integer'), ('array_log_loss', 'float8[], integer, float8'),
            ('array_brier', 'float8[], integer'), ('array_brier', 'float8[], integer, float8'),
            ('array_bins', 'float8[], integer'), ('array_bins', 'float8[], integer, float8'),
            ('array_right', 'float8[], integer'), ('array_right', 'float8[], integer, float8'),
            ('array_top', 'float8[], integer, integer'), ('array_top', 'float8[], integer, integer, float8'),
            ('object_log_loss', 'jsonb, text'), ('object_log_loss', 'jsonb, text, float8'),
            ('object_brier', 'jsonb, text'), ('object_brier', 'jsonb, text, float8'),
            ('object_bins', 'jsonb, text'), ('object_bins', 'jsonb, text, float8'),
            ('object_right', 'jsonb, text'), ('object_right', 'jsonb, text, float8'),
            ('object_top', 'jsonb, text, integer'), ('object_top', 'jsonb, text, integer, float8'),
            ('cluster', 'float8[], integer'), ('cluster', 'float8[], integer, float8'),
            ('point', 'float8[], integer'), ('point', 'float8[], integer, float8')) AS a (name, arguments)
    LOOP
        EXECUTE pg_catalog.format(
            'CREATE FUNCTION mlops.%1$s_accum(mlops.metric_state, %2$s) RETURNS mlops.metric_state '
            'LANGUAGE c IMMUTABLE PARALLEL SAFE AS %3$L, %4$L',
            f.name, f.arguments, 'MODULE_PATHNAME', 'mlops_' || f.name || '_accum');
        EXECUTE pg_catalog.format('COMMENT ON FUNCTION mlops.%s_accum(mlops.metric_state, %s) IS %L',
            f.name, f.arguments, 'adds a row to the state of a metric');
    END LOOP;
    FOR f IN
        SELECT * FROM (VALUES
            ('exact', 'float8, boolean'), ('exact', 'float8, boolean, float8'),
            ('exact_share', 'float8, boolean, float8'), ('exact_share', 'float8, boolean, float8, float8'),
            ('exact_error', 'float8, float8'), ('exact_error', 'float8, float8, float8')) AS a (name, arguments)
    LOOP
        EXECUTE pg_catalog.format(
            'CREATE FUNCTION mlops.%1$s_accum(internal, %2$s) RETURNS internal '
            'LANGUAGE c IMMUTABLE PARALLEL SAFE AS %3$L, %4$L',
            f.name, f.arguments, 'MODULE_PATHNAME', 'mlops_' || f.name || '_accum');
        EXECUTE pg_catalog.format('COMMENT ON FUNCTION mlops.%s_accum(internal, %s) IS %L',
            f.name, f.arguments, 'puts a row into the sort of a metric');
    END LOOP;

    -- what a state comes to, by metric
    FOREACH names IN ARRAY ARRAY[
        'rmse', 'mae', 'median_absolute_error', 'mape', 'smape', 'r2', 'explained_variance', 'max_error',
        'poisson_deviance', 'gamma_deviance', 'pinball', 'log_loss', 'brier', 'expected_calibration_error',
        'accuracy', 'balanced_accuracy', 'precision', 'recall', 'f1', 'specificity', 'mcc', 'macro_precision',
        'macro_recall', 'macro_f1', 'micro_precision', 'micro_recall', 'micro_f1', 'top_k_accuracy', 'inertia',
        'silhouette', 'confusion', 'roc_auc', 'pr_auc', 'ks', 'lift', 'gain']
    LOOP
        EXECUTE pg_catalog.format(
            'CREATE FUNCTION mlops.%1$s_named(mlops.metric_state) RETURNS mlops.metric_state '
            'LANGUAGE c IMMUTABLE PARALLEL SAFE AS %2$L, %3$L', names, 'MODULE_PATHNAME', 'mlops_' || names || '_named');
        EXECUTE pg_catalog.format('COMMENT ON FUNCTION mlops.%s_named(mlops.metric_state) IS %L', names,
            'the state, as one of the metric ' || names);
        IF names OPERATOR(pg_catalog.=) ANY (ARRAY['roc_auc', 'pr_auc', 'ks', 'lift', 'gain', 'median_absolute_error']) THEN
            EXECUTE pg_catalog.format(
                'CREATE FUNCTION mlops.%1$s_exact(internal) RETURNS float8 '
                'LANGUAGE c IMMUTABLE PARALLEL SAFE AS %2$L, %3$L', names, 'MODULE_PATHNAME', 'mlops_' || names || '_exact');
            EXECUTE pg_catalog.format('COMMENT ON FUNCTION mlops.%s_exact(internal) IS %L', names,
                'the metric ' || names || ' of rows that are sorted');
        ELSE
            EXECUTE pg_catalog.format(
                'CREATE FUNCTION mlops.%1$s_value(mlops.metric_state) RETURNS %2$s '
                'LANGUAGE c IMMUTABLE PARALLEL SAFE AS %3$L, %4$L', names,
                CASE names WHEN 'confusion' THEN 'jsonb' ELSE 'float8' END, 'MODULE_PATHNAME', 'mlops_' || names || '_value');
            EXECUTE pg_catalog.format('COMMENT ON FUNCTION mlops.%s_value(mlops.metric_state) IS %L', names,
                'the metric ' || names || ' of a state');
        END IF;
    END LOOP;

    -- the aggregates: metric, what adds to its state, what sorts instead, names and types of the arguments
    FOR f IN
        SELECT a.metric, a.accum, a.sort, a.arguments OPERATOR(pg_catalog.||) w.weight AS arguments,
               pg_catalog.regexp_replace(a.arguments OPERATOR(pg_catalog.||) w.weight, '\w+ (\w+(\[\])?)', '\1', 'g') AS types
          FROM (SELECT m.metric, m.accum, m.sort, m.arguments
                  FROM (VALUES
                    (ARRAY['accuracy', 'balanced_accuracy', 'precision', 'recall', 'f1', 'specificity', 'mcc', 'confusion'],
                     'cells', NULL, 'prediction float8, label boolean'),
                    (ARRAY['expected_calibration_error'], 'bins', NULL, 'prediction float8, label boolean'),
                    (ARRAY['log_loss'], 'log_loss', NULL, 'prediction float8, label boolean'),
                    (ARRAY['brier'], 'brier', NULL, 'prediction float8, label boolean'),
                    (ARRAY['roc_auc', 'pr_auc', 'ks'], 'ranked', 'exact', 'score float8, label boolean'),
                    (ARRAY['lift', 'gain'], 'share', 'exact_share', 'score float8, label boolean, share float8'),
                    (ARRAY['rmse'], 'squared', NULL, 'prediction float8, label float8'),
                    (ARRAY['mae'], 'absolute', NULL, 'prediction float8, label float8'),
                    (ARRAY['mape'], 'percentage', NULL, 'prediction float8, label float8'),
                    (ARRAY['smape'], 'symmetric', NULL, 'prediction float8, label float8'),
                    (ARRAY['poisson_deviance'], 'poisson', NULL, 'prediction float8, label float8'),
                    (ARRAY['gamma_deviance'], 'gamma', NULL, 'prediction float8, label float8'),
                    (ARRAY['pinball'], 'pinball', NULL, 'prediction float8, label float8, quantile float8'),
                    (ARRAY['max_error'], 'largest', NULL, 'prediction float8, label float8'),
                    (ARRAY['r2', 'explained_variance'], 'moments', NULL, 'prediction float8, label float8'),
                    (ARRAY['median_absolute_error'], 'ranked_error', 'exact_error', 'prediction float8, label float8'),
                    (ARRAY['accuracy', 'balanced_accuracy', 'mcc', 'confusion', 'macro_precision', 'macro_recall',
                           'macro_f1', 'micro_precision', 'micro_recall', 'micro_f1'],
                     'table', NULL, 'prediction text, label text'),
                    (ARRAY['precision', 'recall', 'f1', 'specificity'], 'positive', NULL, 'prediction text, label text, positive text'),
                    (ARRAY['log_loss'], 'array_log_loss', NULL, 'prediction float8[], label integer'),
                    (ARRAY['brier'], 'array_brier', NULL, 'prediction float8[], label integer'),
                    (ARRAY['expected_calibration_error'], 'array_bins', NULL, 'prediction float8[], label integer'),
                    (ARRAY['accuracy'], 'array_right', NULL, 'prediction float8[], label integer'),
                    (ARRAY['top_k_accuracy'], 'array_top', NULL, 'prediction float8[], label integer, k integer'),
                    (ARRAY['log_loss'], 'object_log_loss', NULL, 'prediction jsonb, label text'),
                    (ARRAY['brier'], 'object_brier', NULL, 'prediction jsonb, label text'),
                    (ARRAY['expected_calibration_error'], 'object_bins', NULL, 'prediction jsonb, label text'),
                    (ARRAY['accuracy'], 'object_right', NULL, 'prediction jsonb, label text'),
                    (ARRAY['top_k_accuracy'], 'object_top', NULL, 'prediction jsonb, label text, k integer'),
                    (ARRAY['inertia'], 'cluster', NULL, 'point float8[], cluster integer'),
                    (ARRAY['silhouette'], 'point', NULL, 'point float8[], cluster integer')
                  ) AS t (metrics, accum, sort, arguments)
                  CROSS JOIN LATERAL pg_catalog.unnest(t.metrics) AS u (metric)
                  CROSS JOIN LATERAL (SELECT u.metric, t.accum, t.sort, t.arguments) AS m) AS a
          CROSS JOIN (VALUES (''), (', weight float8'), (', weight float8, threshold float8')) AS w (weight)
         WHERE w.weight OPERATOR(pg_catalog.!~~) '%threshold%' OR a.accum OPERATOR(pg_catalog.=) 'cells'
    LOOP
        EXECUTE pg_catalog.format(
            'CREATE AGGREGATE mlops_%1$s_state(%2$s) (SFUNC = mlops.%3$s_accum, STYPE = mlops.metric_state, '
            'COMBINEFUNC = mlops.merge, FINALFUNC = mlops.%1$s_named, PARALLEL = SAFE)', f.metric, f.arguments, f.accum);
        EXECUTE pg_catalog.format('COMMENT ON AGGREGATE mlops_%s_state(%s) IS %L', f.metric, f.types,
            'the state of the metric ' || f.metric || ', for mlops.merge() and mlops.final()');
        IF f.sort IS NULL THEN
            EXECUTE pg_catalog.format(
                'CREATE AGGREGATE mlops_%1$s(%2$s) (SFUNC = mlops.%3$s_accum, STYPE = mlops.metric_state, '
                'COMBINEFUNC = mlops.merge, FINALFUNC = mlops.%1$s_value, PARALLEL = SAFE)', f.metric, f.arguments, f.accum);
        ELSE
            EXECUTE pg_catalog.format(
                'CREATE AGGREGATE mlops_%1$s(%2$s) (SFUNC = mlops.%3$s_accum, STYPE = internal, '
                'FINALFUNC = mlops.%1$s_exact, FINALFUNC_MODIFY = READ_WRITE, PARALLEL = SAFE)', f.metric, f.arguments, f.sort);
        END IF;
        EXECUTE pg_catalog.format('COMMENT ON AGGREGATE mlops_%s(%s) IS %L', f.metric, f.types,
            'the metric ' || f.metric || ' of the rows: see docs/metrics.md');
    END LOOP;
END
$$;
