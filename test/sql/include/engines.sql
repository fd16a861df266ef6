-- A table, and what a training of it in memory and one by queries have in common:
-- rows read, skipped and held out with their fingerprint, metrics to 1e-9 (or 1e-12), and
-- estimates to 1e-10 of themselves, or of a thousandth of their standard error,
-- since rounding is 1e-15 of what was added up and not of an estimate near 0.
CREATE TABLE t AS
SELECT i AS id, (i % 7)::float8 AS a, i * i % 11 AS b, (ARRAY['basic', 'pro', 'gold', NULL, 'rare ' || i % 400])[1 + i * 7 % 5] AS plan,
       i % 3 = 0 AS f, CASE WHEN i % 10 > 0 THEN sin(i) * 5 END AS z, (1 + i % 3)::numeric AS w,
       3 + 2 * (i % 7) - i * i % 11 + sin(i) + CASE WHEN i * 7 % 5 = 1 THEN 2 ELSE 0 END + cos(i * i) AS y,
       CASE WHEN i % 7 + i * i % 11 + 8 * sin(i * 7.7) > 8 THEN 'yes' ELSE 'no' END AS c,
       CASE WHEN 3 * sin(i * 7.7) + i % 7 > 4 THEN 'high' WHEN 2 * cos(i * 1.3) + i * i % 11 / 4.0 > 1 THEN 'mid' WHEN i % 17 = 0 THEN 'odd' ELSE 'low' END AS k,
       timestamptz '2020-01-01 00:00:00+00' + i * interval '5 hours 7 minutes' AS at, date '2021-01-01' + i % 800 AS day,
       CASE WHEN i % 13 > 0 THEN ARRAY[sin(i * 3.3), NULLIF(i % 5, 2), cos(i)] END AS v
  FROM generate_series(1, 6000) AS i;

CREATE FUNCTION compare(model text, source text, target text, algorithm text DEFAULT NULL, params jsonb DEFAULT '{}', key text DEFAULT NULL,
                        weight text DEFAULT NULL, holdout float8 DEFAULT 0.2, exclude text[] DEFAULT NULL, time_column text DEFAULT NULL, options jsonb DEFAULT '{}',
                        OUT terms bigint, OUT difference float8, OUT same_rows bool, OUT same_metrics bool)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM mlops_train_now(model, source, target, algorithm => algorithm, params => params, key => key, weight => weight, holdout => holdout,
                            exclude => exclude, time_column => time_column, options => options || jsonb_build_object('engine', e))
       FROM unnest('{memory,sql}'::text[]) AS e;
    SELECT count(*), max(abs(m.estimate - s.estimate) / greatest(abs(m.estimate), m.std_error * 1e-3, 1e-300)) INTO terms, difference
      FROM mlops_coefficients(model || '/1') AS m
      FULL JOIN mlops_coefficients(model || '/2') AS s ON m.term = s.term AND coalesce(m.output, '') = coalesce(s.output, '');
    SELECT bool_and(m.data_fingerprint = s.data_fingerprint AND m.schema_fingerprint = s.schema_fingerprint AND m.rows_read = s.rows_read
                    AND m.rows_skipped = s.rows_skipped AND m.rows_training = s.rows_training AND m.rows_holdout = s.rows_holdout
                    AND m.split = s.split AND m.time_from IS NOT DISTINCT FROM s.time_from AND m.time_to IS NOT DISTINCT FROM s.time_to),
           bool_and((SELECT bool_and(abs((e.number #>> '{}')::float8 - (s.holdout_metrics ->> e.name)::float8) <= 1e-9 * greatest(abs((e.number #>> '{}')::float8), 1e-3))
                       FROM jsonb_each(m.holdout_metrics) AS e (name, number)))
           AND bool_and((SELECT bool_and(abs((e.number #>> '{}')::float8 - (s.baseline_metrics ->> e.name)::float8) <= 1e-9 * greatest(abs((e.number #>> '{}')::float8), 1e-3))
                           FROM jsonb_each(m.baseline_metrics) AS e (name, number)))
      INTO same_rows, same_metrics
      FROM mlops.version AS m, mlops.version AS s WHERE m.model = compare.model AND s.model = m.model AND m.version = 1 AND s.version = 2;
END
$$;
