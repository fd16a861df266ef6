-- Judging: evaluations, comparisons, thresholds.

CREATE FUNCTION mlops.interval_of(scores float8[], labels float8[], metric text, weights float8[] DEFAULT NULL,
       threshold float8 DEFAULT 0.5, seed bigint DEFAULT 42,
       OUT value float8, OUT low float8, OUT high float8, OUT error float8)
AS 'MODULE_PATHNAME', 'mlops_interval_of' LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION mlops.interval_of(float8[], float8[], text, float8[], float8, bigint) IS
'a metric of scores, its interval of 95 % and its standard error, as versions are judged; labels are numbers, of two classes 0 and 1';

CREATE FUNCTION mlops.difference_of(scores float8[], others float8[], labels float8[], metric text, weights float8[] DEFAULT NULL,
       threshold float8 DEFAULT 0.5, seed bigint DEFAULT 42,
       OUT first float8, OUT second float8, OUT difference float8, OUT low float8, OUT high float8,
       OUT p_value float8, OUT needed float8)
AS 'MODULE_PATHNAME', 'mlops_difference_of' LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION mlops.difference_of(float8[], float8[], float8[], text, float8[], float8, bigint) IS
'the difference of a metric between two scores of the same rows, as versions are compared; needed: rows by which one of its size would be told from none';

-- ---- evaluations ----

CREATE FUNCTION mlops_evaluate(model text, validation_set text DEFAULT NULL, edition int DEFAULT NULL, metrics text[] DEFAULT NULL,
       include_seen boolean DEFAULT false,
       OUT slice text, OUT metric text, OUT value float8, OUT low float8, OUT high float8, OUT n bigint, OUT baseline float8, OUT seen bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_evaluate(text, text, int, text[], boolean) IS
'metrics of a version on an edition of a validation set, overall and by slice, with intervals of 95 %; stores them as evidence';

CREATE FUNCTION mlops_evaluate_query(model text, source text, target text DEFAULT NULL, slices text[] DEFAULT NULL, metrics text[] DEFAULT NULL,
       weight text DEFAULT NULL, include_seen boolean DEFAULT false,
       OUT slice text, OUT metric text, OUT value float8, OUT low float8, OUT high float8, OUT n bigint, OUT baseline float8, OUT seen bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_evaluate_query(text, text, text, text[], text[], text, boolean) IS
'metrics of a version on a table or query, overall and by slice (columns or conditions), with intervals of 95 %; reads it as the caller and stores nothing';

CREATE FUNCTION mlops_compare(model text, candidate int, champion int DEFAULT NULL, validation_set text DEFAULT NULL, source text DEFAULT NULL,
       target text DEFAULT NULL, slices text[] DEFAULT NULL, metrics text[] DEFAULT NULL, weight text DEFAULT NULL, edition int DEFAULT NULL,
       include_seen boolean DEFAULT false,
       OUT slice text, OUT metric text, OUT candidate float8, OUT champion float8, OUT difference float8, OUT low float8, OUT high float8,
       OUT p_value float8, OUT n bigint, OUT needed bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_compare(text, int, int, text, text, text, text[], text[], text, int, boolean) IS
'two versions on the same rows of a validation set or query: differences with intervals of 95 % and p values; champion NULL: the active version; needed: rows that would tell a difference of this size from none';

CREATE VIEW mlops.evaluation WITH (security_barrier) AS
SELECT e.model, e.version, e.validation_set, e.edition, e.slice, e.metric, e.value, e.low, e.high, e.n, e.baseline, e.seen,
       e.threshold, e.evaluated_by, e.evaluated_at, e.stale
  FROM mlops_catalog.evaluation AS e
 WHERE mlops.may(e.model, 'read');
COMMENT ON VIEW mlops.evaluation IS 'what versions were measured at on editions of validation sets, of models that you may read';

-- ---- thresholds ----

CREATE FUNCTION mlops_threshold(model text, validation_set text DEFAULT NULL, metric text DEFAULT 'f1', costs jsonb DEFAULT NULL, source text DEFAULT NULL,
       target text DEFAULT NULL, weight text DEFAULT NULL, edition int DEFAULT NULL, include_seen boolean DEFAULT false,
       OUT threshold float8, OUT metric text, OUT value float8, OUT low float8, OUT high float8,
       OUT threshold_low float8, OUT threshold_high float8, OUT at_half float8, OUT current_threshold float8, OUT at_current float8, OUT n bigint)
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_threshold(text, text, text, jsonb, text, text, text, int, boolean) IS
'the threshold at which a metric of labels is best or costs are least, among all that the scores allow; its interval is that of replicates';

-- ---- where a version does worse ----

CREATE FUNCTION mlops_error_slices(model text, validation_set text DEFAULT NULL, metric text DEFAULT NULL, min_rows int DEFAULT 50,
       max_slices int DEFAULT 20, source text DEFAULT NULL, target text DEFAULT NULL, weight text DEFAULT NULL, edition int DEFAULT NULL,
       include_seen boolean DEFAULT false,
       OUT condition text, OUT metric text, OUT n bigint, OUT value float8, OUT overall float8, OUT difference float8,
       OUT p_value float8, OUT adjusted_p float8)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_error_slices(text, text, text, int, int, text, text, text, int, boolean) IS
'conditions on one or two columns whose rows a version is significantly worse on than on others, false discoveries held to 5 %; a condition can become a slice by mlops_create_slice';
