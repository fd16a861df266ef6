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
