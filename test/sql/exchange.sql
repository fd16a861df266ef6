-- Models go out as text that others read, and come in from documents: then they
-- score, explain and promote like any other version.

SET client_min_messages = warning;

CREATE TABLE exchange_customer AS
SELECT i AS customer, (i * 7919 % 997) / 10.0 AS age,
       CASE WHEN i % 11 = 0 THEN NULL ELSE (i * 104729 % 1009) / 100.0 END AS debt,
       (ARRAY['basic', 'plus', 'pro "x" <&>'])[i % 4] AS plan,
       timestamptz '2024-01-01 00:00+00' + i * interval '7 hours 13 minutes' AS joined,
       i % 7 + (i * 7919 % 997) / 500 AS visits,
       (i * 7919 % 997) / 997.0 + CASE i % 4 WHEN 1 THEN 0.4 ELSE 0 END + (i * 31337 % 1013) / 1013.0 > 1.1 AS left_us
  FROM generate_series(1, 2000) AS i;
CREATE VIEW exchange_row AS SELECT age, debt, plan, joined FROM exchange_customer;

CALL mlops_train('exchange_linear', 'SELECT age, debt, plan, joined, visits FROM exchange_customer', target => 'visits',
                 params => '{"missing_indicator": true}');
CALL mlops_train('exchange_logistic', 'SELECT age, debt, plan, joined, left_us FROM exchange_customer', target => 'left_us');
CALL mlops_train('exchange_poisson', 'SELECT age, debt, plan, visits FROM exchange_customer', target => 'visits',
                 algorithm => 'glm', params => '{"family": "poisson"}');
CALL mlops_train('exchange_boosting', 'SELECT age, debt, plan, left_us FROM exchange_customer', target => 'left_us',
                 algorithm => 'gradient_boosting', params => '{"trees": 10, "max_depth": 3}');
CALL mlops_train('exchange_forest', 'SELECT age, debt, plan, visits FROM exchange_customer', target => 'visits',
                 algorithm => 'random_forest', params => '{"trees": 5, "max_depth": 4}');
CALL mlops_train('exchange_classes', 'SELECT age, debt, visits, plan FROM exchange_customer WHERE plan IS NOT NULL', target => 'plan',
                 algorithm => 'gradient_boosting', params => '{"trees": 5, "max_depth": 3}');
CALL mlops_train('exchange_grouped', 'SELECT age, debt, plan, visits FROM exchange_customer', target => 'visits',
                 group_by => 'plan');
CALL mlops_train('exchange_bayes', 'SELECT age, debt, plan, left_us FROM exchange_customer', target => 'left_us',
                 algorithm => 'naive_bayes');
CALL mlops_train('exchange_clusters', 'SELECT age, debt, plan FROM exchange_customer', algorithm => 'kmeans');
CALL mlops_train('exchange_components', 'SELECT age, debt, visits FROM exchange_customer', algorithm => 'pca');
CALL mlops_train('exchange_odd', 'SELECT age, debt, plan FROM exchange_customer', algorithm => 'isolation_forest',
                 params => '{"trees": 5}');
CALL mlops_train('exchange_network', 'SELECT age, debt, plan, left_us FROM exchange_customer', target => 'left_us',
                 algorithm => 'mlp', params => '{"max_epochs": 2}');

-- our own JSON carries everything: what comes in has the bytes of what went out
SELECT model, mlops_import(model || '_copy', mlops_export(model || '/1')) AS version FROM mlops.model
 WHERE model LIKE 'exchange\_%' ORDER BY model COLLATE "C";
SELECT a.model, a.sha256 = b.sha256 AS same_bytes
  FROM mlops.version AS a JOIN mlops.version AS b ON b.model = a.model || '_copy'
 ORDER BY a.model COLLATE "C";

-- an SQL expression scores without the extension
SELECT mlops_export('exchange_linear/1', 'sql') AS linear, mlops_export('exchange_logistic/1', 'sql') AS logistic,
       mlops_export('exchange_poisson/1', 'sql') AS poisson, mlops_export('exchange_boosting/1', 'sql') AS boosting,
       mlops_export('exchange_forest/1', 'sql') AS forest, mlops_export('exchange_bayes/1', 'sql') AS bayes,
       mlops_export('exchange_classes/1', 'sql') AS classes \gset
SELECT max(abs((:linear) - mlops_predict('exchange_linear/1', c))) < 1e-9 AS linear,
       max(abs((:logistic) - mlops_predict('exchange_logistic/1', c))) < 1e-9 AS logistic,
       max(abs((:poisson) - mlops_predict('exchange_poisson/1', c))) < 1e-9 AS poisson,
       max(abs((:boosting) - mlops_predict('exchange_boosting/1', c))) < 1e-9 AS boosting,
       max(abs((:forest) - mlops_predict('exchange_forest/1', c))) < 1e-9 AS forest,
       max(abs((:bayes) - mlops_predict('exchange_bayes/1', c))) < 1e-9 AS bayes,
       max(abs(((:classes) ->> 'basic')::float8
               - (mlops_predict_proba('exchange_classes/1', c) ->> 'basic')::float8)) < 1e-9 AS classes
  FROM exchange_customer AS c;
-- an unseen level, a NULL, a NaN
SELECT max(abs((:boosting) - mlops_predict('exchange_boosting/1', c))) < 1e-9 AS boosting,
       max(abs((:bayes) - mlops_predict('exchange_bayes/1', c))) < 1e-9 AS bayes
  FROM (VALUES (1.5::numeric, NULL::numeric, 'unseen'), (NULL, 'NaN', NULL), (70, 3, 'it''s')) AS c (age, debt, plan);

-- PMML: well-formed, with a field for each column and a tree for each tree
SELECT model, xml_is_well_formed_document(document) AS well_formed,
       (xpath('count(//p:TreeModel)', document::xml, ARRAY[ARRAY['p', 'http://www.dmg.org/PMML-4_4']]))[1]::text AS trees
  FROM (SELECT model, mlops_export(model || '/1', 'pmml') AS document FROM mlops.model
         WHERE model IN ('exchange_poisson', 'exchange_boosting', 'exchange_forest', 'exchange_classes', 'exchange_clusters')) AS d
 ORDER BY model COLLATE "C";

-- XGBoost: what it would load comes back with the same scores, to single precision
SELECT mlops_import('exchange_back', mlops_export('exchange_boosting/1', 'xgboost'), options => '{"target": "left_us"}') AS version;
SELECT max(abs(mlops_predict('exchange_back/1', c) - mlops_predict('exchange_boosting/1', c))) < 1e-6 AS alike
  FROM (SELECT age::float4 AS age, debt::float4 AS debt, plan FROM exchange_customer) AS c;
-- a model of XGBoost 1.7: one stump on a number, one on a code
SELECT mlops_import('exchange_xgboost', '{"version": [1, 7, 4], "learner": {"attributes": {},
  "feature_names": ["age", "plan"], "feature_types": ["float", "c"],
  "learner_model_param": {"base_score": "5E-1", "num_class": "0", "num_feature": "2"},
  "objective": {"name": "binary:logistic"},
  "gradient_booster": {"name": "gbtree", "model": {"tree_info": [0, 0], "trees": [
    {"left_children": [1, -1, -1], "right_children": [2, -1, -1], "split_indices": [0, 0, 0],
     "split_conditions": [0.4, -1.0, 1.0], "default_left": [0, 0, 0], "loss_changes": [3.0, 0.0, 0.0], "sum_hessian": [9.0, 4.0, 5.0]},
    {"left_children": [1, -1, -1], "right_children": [2, -1, -1], "split_indices": [1, 0, 0], "split_type": [1, 0, 0],
     "split_conditions": [NaN, -0.5, 0.5], "default_left": [1, 0, 0], "loss_changes": [1.0, 0.0, 0.0], "sum_hessian": [9.0, 4.0, 5.0],
     "categories": [1], "categories_nodes": [0], "categories_segments": [0], "categories_sizes": [1]}]}}}}',
  options => '{"target": "left_us", "positive": "yes", "negative": "no", "levels": {"plan": ["basic", "pro"]}}') AS version;
-- values are compared as float4, as XGBoost does: 0.4 is not below its 0.4; a code that it lists goes right
SELECT c.*, round(ln(p / (1 - p))::numeric, 6) AS log_odds, mlops_predict_label('exchange_xgboost/1', c) AS label
  FROM (VALUES (0.3, 'basic'), (0.4, 'basic'), (0.5, 'pro'), (NULL, 'unseen'), (0.5, NULL)) AS c (age, plan),
       LATERAL mlops_predict('exchange_xgboost/1', c) AS p;
SELECT feature, value, round(contribution::numeric, 6) AS contribution
  FROM mlops_explain('exchange_xgboost/1', '{"age": 0.5, "plan": "pro"}'::jsonb);

-- coefficients by name: a level of a category has an equals sign
SELECT mlops_import('exchange_hand', '{"(intercept)": -1, "age": 0.02, "plan=pro": 0.7, "plan=(null)": 0.1}',
                    options => '{"link": "logit", "target": "left_us"}', note => 'agreed on in a meeting') AS version;
SELECT round(ln(p / (1 - p))::numeric, 6) AS log_odds, c
  FROM (VALUES ('{"age": 50, "plan": "pro"}'), ('{"age": 50, "plan": "other"}'), ('{"age": null, "plan": null}'),
               ('{"age": 50, "plan": null}')) AS v (c), LATERAL mlops_predict('exchange_hand/1', c::jsonb) AS p;
-- a missing number counts as 0, or as it is told
SELECT mlops_import('exchange_hand', '{"coefficients": {"(intercept)": -1, "age": 0.02, "plan=pro": 0.7}, "fill": {"age": 40}}',
                    options => '{"link": "logit"}') AS version;
SELECT round(ln(p / (1 - p))::numeric, 6) AS log_odds FROM mlops_predict('exchange_hand/2', '{"age": null, "plan": "pro"}') AS p;
-- it serves, and the way back is one call
SELECT version FROM mlops_promote('exchange_hand', 1);
SELECT version FROM mlops_promote('exchange_hand', 2);
SELECT version FROM mlops_rollback('exchange_hand');
SELECT algorithm, spec, rows_read, note FROM mlops.version WHERE model = 'exchange_hand' AND version = 1;
SELECT line FROM regexp_split_to_table(regexp_replace(mlops_describe('exchange_hand/1'), '\n(builds|artifact|imported) +[^\n]*(\n  [^\n]*)*', '', 'g'), E'\n') AS line;

-- what is refused
\set VERBOSITY default
SELECT mlops_export('exchange_linear/1', 'pml');
SELECT mlops_export('exchange_network/1', 'sql');
SELECT mlops_export('exchange_linear/1', 'xgboost');
SELECT mlops_export('exchange_linear/1', 'pmml');
SELECT mlops_import('exchange_new', '{"age": "old"}', options => '{"target": "y"}');
SELECT mlops_import('exchange_new', '{"age": 1}');
SELECT mlops_import('exchange_new', '{"age": 1}', options => '{"targt": "y"}');
SELECT mlops_import('exchange_new', '{"age": 1}', options => '{"target": "y", "link": "logistic"}');
SELECT mlops_import('exchange_new', '{"age": 1}', 'onnx');
SELECT mlops_import('exchange_hand', '{}');
SELECT mlops_import('exchange_hand', '{"age": 1}', options => '{"link": "identity"}');
SELECT mlops_import('exchange_hand', '{"age": 1}', options => '{"target": "other", "link": "logit"}');
SELECT mlops_import('exchange_hand/1', '{"age": 1}');
SELECT mlops_import('exchange_new', '[1]', options => '{"target": "y"}');
SELECT mlops_import('exchange_new', '{"learner": {"learner_model_param": {"num_feature": "many"}}}');
CALL mlops_retrain('exchange_hand/1');
-- documents that are no trees, and indices beyond the end
SELECT mlops_import('exchange_new', jsonb_set(mlops_export('exchange_odd/1')::jsonb, '{predictor,trees,0,nodes,0,left}', '0'));
SELECT mlops_import('exchange_new', jsonb_set(mlops_export('exchange_odd/1')::jsonb, '{predictor,trees,0,nodes,0,left}', '100000'));
SELECT mlops_import('exchange_new', mlops_export('exchange_linear/1')::jsonb #- '{recipe,numbers,0}');
SELECT mlops_import('exchange_new', jsonb_set(mlops_export('exchange_clusters/1')::jsonb, '{predictor,clusters}', '7'));
-- a short document that asks for much memory: sets of 100,000 levels, again and again
SELECT mlops_import('exchange_new', jsonb_set(jsonb_set(jsonb_set(mlops_export('exchange_odd/1')::jsonb,
           '{recipe,features,2,levels}', (SELECT jsonb_agg(to_char(i, 'FM000000')) FROM generate_series(1, 100000) AS i)),
           '{recipe,features,2,level_shares}', (SELECT jsonb_agg(0.000001) FROM generate_series(1, 100000) AS i)),
           '{predictor,trees,0,nodes}', (SELECT jsonb_agg(jsonb_build_object('category', 'plan', 'codes', '[]'::jsonb, 'left', i))
                                           FROM generate_series(1, 5500) AS i)));
\set VERBOSITY terse
SELECT mlops_import('exchange_new', jsonb_set(mlops_export('exchange_logistic/1')::jsonb, '{predictor,link}', '"softmax"'));
\set VERBOSITY default
-- more classes than a model can have would take memory out of proportion
SELECT mlops_import('exchange_new', jsonb_set(jsonb_set(jsonb_set(mlops_export('exchange_classes/1')::jsonb,
         '{target,classes}', classes), '{target,class_shares}', shares),
         '{predictor}', jsonb_build_object('kind', 'linear', 'link', 'softmax', 'class_shares', shares)))
  FROM (SELECT jsonb_agg(i::text) AS classes, jsonb_agg(0.005) AS shares FROM generate_series(1, 101) AS i) AS many;
SELECT count(*) AS versions FROM mlops.version WHERE model = 'exchange_new';

-- reading is enough to export, training to import
CREATE ROLE regress_ml_reader;
SET ROLE regress_ml_reader;
SELECT mlops_export('exchange_hand/1');
SELECT mlops_import('exchange_hand', '{"age": 1}', options => '{"link": "logit"}');
SELECT mlops_import('exchange_new', '{"age": 1}', options => '{"target": "y"}');
RESET ROLE;
SELECT mlops_grant('exchange_hand', 'regress_ml_reader', 'read');
SET ROLE regress_ml_reader;
SELECT mlops_export('exchange_hand/1') LIKE '{"format":"mlops"%' AS exported;
RESET ROLE;
SELECT mlops_revoke('exchange_hand', 'regress_ml_reader', 'read');
DROP ROLE regress_ml_reader;

SELECT count(mlops_drop_model(m, force => true)::text) > 0 AS dropped
  FROM unnest(ARRAY(SELECT model FROM mlops.model WHERE model LIKE 'exchange\_%')) AS m;
DROP VIEW exchange_row;
DROP TABLE exchange_customer;
