-- Metrics are ordinary aggregates: of predictions and labels, by group, with
-- weights, over windows. They say what others have published, and what a training
-- measures of its model. Rows with something missing do not count.

CREATE SCHEMA metric_aggregates_test;
SET search_path = metric_aggregates_test;
SET client_min_messages = error;

-- ---- published ----

-- P21: MADlib's documentation of pred_metrics
CREATE TABLE four (prediction float8, label float8);
INSERT INTO four VALUES (37.5, 53.1), (12.3, 34.2), (74.2, 65.4), (91.1, 82.1);
SELECT abs(mlops_mae(prediction, label) / 13.825 - 1) < 1e-12 AS mae,
       abs(mlops_mape(prediction, label) / 0.294578793636013 - 1) < 1e-12 AS mape,
       abs(mlops_rmse(prediction, label) ^ 2 / 220.3525 - 1) < 1e-12 AS mse,
       abs(mlops_r2(prediction, label) / 0.27992908844337694 - 1) < 1e-12 AS r2
  FROM four;

-- P22: MADlib's confusion matrix, with classes that are never predicted or never true
CREATE TABLE six (prediction int, label int);
INSERT INTO six VALUES (3,1),(4,2),(5,3),(1,4),(2,0),(4,2),(5,4),(1,1),(2,3),(3,0),(5,3),(1,1),(2,4),(3,2),(4,0),(1,4),(2,3),
                       (3,2),(4,1),(5,0),(2,0),(3,0),(4,0),(5,0),(1,0);
SELECT array_agg(coalesce(weight, 0) ORDER BY o, p) = '{0,1,2,2,2,2,0,2,0,1,1,0,0,0,0,2,2,0,0,0,2,0,0,2,0,2,1,0,0,1,0,0,0,0,0,0}' AS as_published
  FROM generate_series(0, 5) AS o CROSS JOIN generate_series(0, 5) AS p
  LEFT JOIN (SELECT t.* FROM (SELECT mlops_confusion(prediction::text, label::text) AS c FROM six) AS m,
                    jsonb_to_recordset(c) AS t (predicted int, label int, weight int)) AS t
    ON t.label = o AND t.predicted = p;

-- Chicco 2017, "Ten quick tips for machine learning in computational biology": 90 true and 4 false positives,
-- 5 false and 1 true negative have accuracy 91 %, F1 95.24 % and a correlation of 0.14
CREATE TABLE chicco AS
SELECT said::int::float8 AS prediction, true_is AS label
  FROM (VALUES (true, true, 90), (true, false, 4), (false, true, 5), (false, false, 1)) AS t (said, true_is, n), generate_series(1, n);
SELECT round(mlops_accuracy(prediction, label)::numeric, 2) AS accuracy, round(mlops_f1(prediction, label)::numeric, 4) AS f1,
       round(mlops_mcc(prediction, label)::numeric, 2) AS mcc, mlops_specificity(prediction, label) = 0.2 AS specificity
  FROM chicco;

-- ---- as trainings measure ----

-- every metric of a training is the aggregate of that name over its model's predictions
CREATE TABLE data AS
SELECT i % 7 AS a, i % 3 AS b, 1 + i % 4 AS w, (i * 7919 % 101) / 101.0 < 0.2 + (i % 7) / 10.0 AS won,
       10 + (i % 7) * 2.5 - (i % 3) + (i * 7919 % 101) / 20.0 AS amount, 'c' || (i % 7 + i * 7919 % 101 / 34) % 4 AS kind
  FROM generate_series(1, 600) AS i;
-- calls: the arguments that a metric may take; the first that there is an aggregate for is compared
CREATE FUNCTION as_trained(of_model text, calls text[]) RETURNS TABLE (metric text, same boolean) LANGUAGE plpgsql AS $$
DECLARE
    call text;
    trained float8;
    value float8;
BEGIN
    FOR metric, trained IN SELECT m.key, m.value::float8 FROM mlops.version AS v, jsonb_each_text(v.training_metrics) AS m
                            WHERE v.model = of_model ORDER BY m.key COLLATE "C" LOOP
        same := NULL;
        FOREACH call IN ARRAY calls LOOP
            BEGIN
                EXECUTE format('SELECT mlops_%s(%s) FROM data AS d', metric, call) INTO value;
                same := abs(trained - value) <= 1e-12 * abs(value);
                EXIT;
            EXCEPTION WHEN undefined_function THEN
                CONTINUE;
            END;
        END LOOP;
        RETURN NEXT;
    END LOOP;
END;
$$;
SELECT mlops_create_model('aggregates_won', metric => 'lift_10');
SELECT mlops_train_now('aggregates_won', 'data', 'won', exclude => '{amount,kind}', weight => 'w', holdout => 0) AS version;
SELECT * FROM as_trained('aggregates_won', ARRAY['mlops_predict(''aggregates_won/1'', d), won, w']);
SELECT abs((training_metrics ->> 'lift_10')::float8 - (SELECT mlops_lift(mlops_predict('aggregates_won/1', d), won, 0.1, w) FROM data AS d)) < 1e-12 AS lift
  FROM mlops.version WHERE model = 'aggregates_won';
SELECT mlops_create_model('aggregates_amount', metric => 'median_absolute_error');
SELECT mlops_train_now('aggregates_amount', 'data', 'amount', exclude => '{won,kind}', weight => 'w', holdout => 0) AS version;
SELECT * FROM as_trained('aggregates_amount', ARRAY['mlops_predict(''aggregates_amount/1'', d), amount, w']);
SELECT mlops_create_model('aggregates_kind', metric => 'top_2_accuracy');
SELECT mlops_train_now('aggregates_kind', 'data', 'kind', exclude => '{won,amount}', weight => 'w', holdout => 0) AS version;
SELECT * FROM as_trained('aggregates_kind', ARRAY['mlops_predict_label(''aggregates_kind/1'', d), kind, w', 'mlops_predict_proba(''aggregates_kind/1'', d), kind, w']);
SELECT abs((training_metrics ->> 'top_2_accuracy')::float8 - (SELECT mlops_top_k_accuracy(mlops_predict_proba('aggregates_kind/1', d), kind, 2, w) FROM data AS d)) < 1e-12 AS top_2
  FROM mlops.version WHERE model = 'aggregates_kind';

-- ---- as aggregates are ----

-- by group, filtered, over a window; a row of weight 2 counts like two rows
CREATE TABLE row AS SELECT i, i % 2 AS g, (i % 10) / 10.0::float8 AS score, i % 3 = 0 AS label FROM generate_series(1, 30) AS i;
SELECT g, mlops_accuracy(score, label) = avg(((score >= 0.5) = label)::int)::float8 AS accuracy,
       mlops_accuracy(score, label) FILTER (WHERE i <= 10) = (avg(((score >= 0.5) = label)::int) FILTER (WHERE i <= 10))::float8 AS filtered
  FROM row GROUP BY g ORDER BY g;
SELECT bool_and(abs(a - b) < 1e-12) AS over_a_window
  FROM (SELECT mlops_brier(score, label) OVER w AS a, mlops_brier(score, label, 2) OVER w AS b FROM row WINDOW w AS (ORDER BY i)) AS s;
SELECT abs(mlops_f1(score, label, i % 3) - (SELECT mlops_f1(score, label) FROM row, generate_series(1, i % 3))) < 1e-12 AS weight_is_number_of_rows FROM row;
SELECT mlops_recall(score, label, 1, 0.2) = (avg((score >= 0.2)::int) FILTER (WHERE label))::float8 AS at_another_threshold FROM row;

-- what is missing does not count: NULL, NaN, weight 0
SELECT mlops_rmse(p, y, w) AS rmse, mlops_rmse_state(p, y, w) IS NULL AS no_state
  FROM (VALUES (NULL::float8, 1::float8, 1::float8), (1, NULL, 1), (1, 3, NULL), ('NaN', 1, 1), (1, 'NaN', 1), (5, 1, 0), (5, 1, 'NaN')) AS t (p, y, w);
SELECT mlops_rmse(p, y) AS rmse FROM (VALUES (1::float8, 3::float8), (NULL, 1), ('NaN', 1)) AS t (p, y);
-- no rows, and rows that a metric is not defined on
SELECT mlops_accuracy(score, label) AS accuracy, mlops_roc_auc(score, label) AS roc_auc, mlops_confusion(score, label) AS confusion FROM row WHERE false;
SELECT mlops_precision(0, label) AS precision, mlops_recall(score, false) AS recall, mlops_roc_auc(score, true) AS roc_auc, mlops_mcc(1, label) AS mcc,
       mlops_r2(score, 3::float8) AS r2, mlops_mape(score, 0::float8) AS mape, mlops_silhouette(ARRAY[score], 1) AS one_cluster FROM row;

-- the centre of each cluster is the mean of its rows; a point alone in its cluster has silhouette 0
SELECT abs(mlops_inertia(ARRAY[x, y], c) - 2.0 / 3) < 1e-12 AS inertia,
       abs(mlops_silhouette(ARRAY[x, y], c) - ((1 - 2.0 / 10) + (1 - 2 / sqrt(104)) + 0) / 3) < 1e-12 AS silhouette
  FROM (VALUES (0::float8, 0::float8, 1), (0, 2, 1), (10, 0, 2)) AS t (x, y, c);

-- ---- refused ----
SELECT mlops_rmse(1, 2, -1);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_log_loss(score * 10, label) FROM row;
SELECT mlops_mae('infinity', 1);
SELECT mlops_pinball(1, 2, 1.5);
SELECT mlops_pinball(1, 2, NULL);
SELECT mlops_pinball(1, 2, i / 100.0) FROM row;
SELECT mlops_log_loss(ARRAY[0.5, 0.5], 3);
SELECT mlops_brier(ARRAY[0.5, 1.5], 1);
SELECT mlops_log_loss(ARRAY[ARRAY[0.5, 0.5]], 1);
SELECT mlops_top_k_accuracy(ARRAY[0.5, 0.5], 1, 0);
SELECT mlops_log_loss('{"a": "x"}'::jsonb, 'a'::text);
SELECT mlops_log_loss('[0.5]'::jsonb, 'a'::text);
SELECT mlops_f1('a', 'b', NULL::text);
SELECT mlops_f1('a'::text, 'b'::text, i::text) FROM row;
SELECT mlops_accuracy(i::text, i::text) FROM generate_series(1, 1001) AS i;
SELECT mlops_silhouette(ARRAY[i::float8], i % 2) FROM generate_series(1, 20001) AS i;
SELECT mlops_inertia(CASE WHEN i = 3 THEN ARRAY[1.0] ELSE ARRAY[1.0, 2.0] END, 1) FROM row;

SELECT count(mlops_drop_model(model)) AS dropped FROM mlops.model WHERE model LIKE 'aggregates\_%';
DROP SCHEMA metric_aggregates_test CASCADE;
