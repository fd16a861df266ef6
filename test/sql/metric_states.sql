-- What rows add up to in a metric is a value: it can be kept, sent as text or bytes,
-- merged with others wherever they were made, and finished. Bytes that are no such
-- value are refused.

CREATE SCHEMA metric_states_test;
SET search_path = metric_states_test;
SET client_min_messages = warning;

CREATE TABLE row AS
SELECT i, i % 4 AS part, (i * 7919 % 101) / 101.0::float8 AS p, (i * 31 % 17) / 17.0 < (i * 7919 % 101) / 101.0 AS y, 1 + (i % 5) / 2.0::float8 AS w,
       'c' || i % 3 AS said, 'c' || i % 7 % 3 AS class
  FROM generate_series(1, 400) AS i;

-- a state of every kind, of all rows and of the parts
CREATE VIEW whole AS
SELECT mlops_log_loss_state(p, y, w) AS mean, mlops_max_error_state(p, w) AS maximum, mlops_r2_state(p, w, w) AS moments,
       mlops_f1_state(p, y, w) AS cells, mlops_expected_calibration_error_state(p, y, w) AS bins, mlops_mcc_state(said, class, w) AS "table",
       mlops_f1_state(said, class, 'c1', w) AS positive, mlops_roc_auc_state(p, y, w) AS ranked, mlops_lift_state(p, y, 0.2, w) AS share,
       mlops_inertia_state(ARRAY[p, w], i % 3, w) AS clusters, mlops_silhouette_state(ARRAY[p, w], i % 3, w) AS points
  FROM row;
CREATE TABLE state AS
SELECT part, mlops_log_loss_state(p, y, w) AS mean, mlops_max_error_state(p, w) AS maximum, mlops_r2_state(p, w, w) AS moments,
       mlops_f1_state(p, y, w) AS cells, mlops_expected_calibration_error_state(p, y, w) AS bins, mlops_mcc_state(said, class, w) AS "table",
       mlops_f1_state(said, class, 'c1', w) AS positive, mlops_roc_auc_state(p, y, w) AS ranked, mlops_lift_state(p, y, 0.2, w) AS share,
       mlops_inertia_state(ARRAY[p, w], i % 3, w) AS clusters, mlops_silhouette_state(ARRAY[p, w], i % 3, w) AS points
  FROM row GROUP BY part;

-- as bytes, and back through text
SELECT count(*) AS parts, bool_and(mlops.metric_state_send(ranked) = ranked::text::bytea) AS bytes,
       bool_and(ranked::text::mlops.metric_state::text = ranked::text AND "table"::text::mlops.metric_state::text = "table"::text
                AND clusters::text::mlops.metric_state::text = clusters::text) AS text
  FROM state;

-- merged, the parts are the whole; only the last digits depend on where rows were added up
WITH merged AS (
    SELECT mlops.merge(mean) AS mean, mlops.merge(maximum) AS maximum, mlops.merge(moments) AS moments, mlops.merge(cells) AS cells, mlops.merge(bins) AS bins,
           mlops.merge("table") AS "table", mlops.merge(positive) AS positive, mlops.merge(ranked) AS ranked, mlops.merge(share) AS share,
           mlops.merge(clusters) AS clusters, mlops.merge(points) AS points FROM state
)
SELECT key AS kind, w.state ->> 'metric' AS metric, (w.state ->> 'rows')::int AS rows, w.state -> 'rows' = m.state -> 'rows' AS all_rows,
       abs((w.state ->> 'value')::float8 - (m.state ->> 'value')::float8) <= 1e-12 * abs((w.state ->> 'value')::float8) AS same
  FROM (SELECT key, mlops.final(value::mlops.metric_state) AS state FROM whole, jsonb_each_text(to_jsonb(whole))) AS w
  JOIN (SELECT key, mlops.final(value::mlops.metric_state) AS state FROM merged, jsonb_each_text(to_jsonb(merged))) AS m USING (key)
 ORDER BY key COLLATE "C";

-- merging with nothing changes nothing; a state that is merged with itself counts twice
SELECT mlops.merge(ranked, NULL)::text = ranked::text AS left, mlops.merge(NULL, ranked)::text = ranked::text AS right,
       (mlops.final(mlops.merge(ranked, ranked)) ->> 'rows')::int AS rows,
       abs((mlops.final(mlops.merge(ranked, ranked)) ->> 'value')::float8 - (mlops.final(ranked) ->> 'value')::float8) < 1e-12 AS same
  FROM state WHERE part = 1;
SELECT mlops.merge(s) IS NULL AS merged, mlops.final(mlops.merge(s)) IS NULL AS final FROM (SELECT NULL::mlops.metric_state AS s) AS none;

-- the table of classes is a value of its own
SELECT mlops.final(mlops_confusion_state(said, class)) -> 'value' = mlops_confusion(said, class) AS same FROM row;

-- they go through a sort, whose memory cannot be freed piece by piece from 17 on
SELECT part, mlops.final("table") -> 'rows' = mlops.final(ranked) -> 'rows' AS same
  FROM (SELECT part, mlops_mcc_state(said, class) AS "table", mlops_roc_auc_state(p, y) AS ranked
          FROM row GROUP BY part ORDER BY count(*), part) AS sorted;

-- ---- refused ----
SELECT mlops.merge(mean, maximum) FROM state;
\echo :LAST_ERROR_SQLSTATE
SELECT mlops.merge(mlops_precision_state(p, y), mlops_recall_state(p, y)) FROM row;
SELECT mlops.merge(mlops_pinball_state(p, w, 0.1), mlops_pinball_state(p, w, 0.9)) FROM row;
SELECT mlops.merge(mlops_f1_state(said, class, 'c1'), mlops_f1_state(said, class, 'c2')) FROM row;
SELECT mlops.merge(mlops_inertia_state(ARRAY[p], 1), mlops_inertia_state(ARRAY[p, p], 1)) FROM row;
SELECT 'rmse'::mlops.metric_state;
SELECT '\x00'::mlops.metric_state;
\echo :LAST_ERROR_SQLSTATE

-- bytes that were changed
CREATE FUNCTION changed(state mlops.metric_state, change text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    b bytea := state::text::bytea;
    why text;
BEGIN
    b := CASE change WHEN 'shorter' THEN substr(b, 1, length(b) - 1) WHEN 'longer' THEN b || '\x00'
                     WHEN 'no rows' THEN overlay(b PLACING '\x0000000000000000' FROM 33) WHEN 'kind' THEN overlay(b PLACING '\x09' FROM 13)
                     WHEN 'format' THEN overlay(b PLACING '\x02' FROM 9) WHEN 'metric' THEN overlay(b PLACING '\x2e' FROM 41)
                     WHEN 'NaN' THEN overlay(b PLACING '\x000000000000f87f' FROM length(b) - 7)
                     WHEN 'negative' THEN overlay(b PLACING '\x000000000000f0bf' FROM 73)
                     WHEN 'disorder' THEN substr(b, 1, 80) || substr(b, 105, 24) || substr(b, 81, 24) || substr(b, 129)
                     WHEN 'cell' THEN overlay(b PLACING '\x7f00' FROM length(b) - 11)
                     WHEN 'parameter' THEN overlay(b PLACING '\x000000000000f0bf' FROM 25) END;
    RETURN mlops.final(b::text::mlops.metric_state)::text;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS why = PG_EXCEPTION_DETAIL;
    RETURN SQLSTATE || ': ' || why;
END;
$$;
SELECT change, changed(mean, change) AS mean FROM state, unnest('{shorter,longer,no rows,kind,format,metric,negative,parameter}'::text[]) AS change WHERE part = 0;
SELECT change, changed(ranked, change) AS ranked FROM state, unnest('{shorter,longer,disorder,NaN}'::text[]) AS change WHERE part = 0;
SELECT change, changed("table", change) AS "table" FROM state, unnest('{shorter,longer,cell,NaN}'::text[]) AS change WHERE part = 0;
SELECT change, changed(clusters, change) AS clusters FROM state, unnest('{shorter,NaN}'::text[]) AS change WHERE part = 0;
SELECT change, changed(points, change) AS points FROM state, unnest('{longer,NaN}'::text[]) AS change WHERE part = 0;

DROP SCHEMA metric_states_test CASCADE;
