-- What each feature adds to a score. With the row "(base)" contributions add up
-- to the linear predictor: the value for regression, log-odds for two classes,
-- a score each for several. How trees share is in the test "trees".

CREATE SCHEMA explain_test;
SET search_path = explain_test;
SET client_min_messages = error;
CREATE TABLE house AS
SELECT i AS id, 40 + i * 7 % 90 AS area, CASE WHEN i % 11 > 0 THEN i * 5 % 60 END AS age,
       (ARRAY['north', 'east', 'south'])[1 + i * 13 % 17 % 3] AS side, ARRAY[i % 3, i % 5]::float8[] AS place,
       timestamptz '2024-01-01 12:30+00' + i * interval '5 hours' AS sold, i % 4 = 0 AS garden
  FROM generate_series(1, 400) AS i;
ALTER TABLE house ADD price float8, ADD dear text, ADD class text;
UPDATE house SET price = 100 + 2 * area - coalesce(age, 30) + 10 * place[1] + CASE side WHEN 'north' THEN 5 ELSE 0 END + id % 7;
UPDATE house SET dear = CASE WHEN price + id * 37 % 41 > 240 THEN 'yes' ELSE 'no' END,
                 class = (ARRAY['low', 'middle', 'high'])[1 + (price > 200)::int + (price + id * 37 % 41 > 260)::int];
SELECT mlops_train_now('price', 'house', 'price', exclude => '{id,dear,class}');
SELECT mlops_train_now('dear', 'house', 'dear', exclude => '{id,price,class}');
RESET client_min_messages;

-- Linear models: coefficients times values. A time and an array are one feature
-- each, whose columns are added; a missing number counts as its mean.
SELECT e.feature, e.value, e.contribution = 0 AS nothing
  FROM house AS h, mlops_explain('price/1', h) AS e WHERE h.id = 11;
WITH c AS (SELECT * FROM mlops_coefficients('price/1'))
SELECT e.feature, abs(e.contribution - CASE e.feature
           WHEN '(base)' THEN (SELECT estimate FROM c WHERE term = '(intercept)')
           WHEN 'area' THEN h.area * (SELECT estimate FROM c WHERE term = 'area')
           WHEN 'place' THEN h.place[1] * (SELECT estimate FROM c WHERE term = 'place[1]') + h.place[2] * (SELECT estimate FROM c WHERE term = 'place[2]')
           WHEN 'garden' THEN h.garden::int * (SELECT estimate FROM c WHERE term = 'garden') END) < 1e-9 AS by_hand
  FROM house AS h, mlops_explain('price/1', h) AS e WHERE h.id = 12 AND e.feature IN ('(base)', 'area', 'place', 'garden');

-- They add up to the value, and to log-odds.
SELECT count(*), bool_and(abs(e.eta - mlops_predict('price/1', h)) < 1e-9 * abs(e.eta)) AS price,
       bool_and(abs(1 / (1 + exp(-d.eta)) - mlops_predict('dear/1', h)) < 1e-12) AS dear
  FROM house AS h, LATERAL (SELECT sum(contribution) AS eta FROM mlops_explain('price/1', h)) AS e,
       LATERAL (SELECT sum(contribution) AS eta FROM mlops_explain('dear/1', h)) AS d;

-- Of two classes the positive one is explained; the other is its mirror image.
SELECT y.feature, y.contribution = -n.contribution AS mirrored
  FROM house AS h, mlops_explain('dear/1', h) AS y, mlops_explain('dear/1', h, class => 'no') AS n
 WHERE h.id = 3 AND y.feature = n.feature AND y.feature IN ('(base)', 'area', 'side');

-- Of several classes the predicted one, unless another is named; the softmax of
-- their sums are the probabilities.
SET client_min_messages = error;
SELECT mlops_train_now('class', 'house', 'class', algorithm => 'gradient_boosting', params => '{"trees": 10}', exclude => '{id,price,dear}');
RESET client_min_messages;
SELECT bool_and(abs(exp(e.eta) / e.total - (mlops_predict_proba('class/1', h) ->> e.c)::float8) < 1e-12) AS softmax, bool_and(p.eta = e.eta) FILTER (WHERE e.c = mlops_predict_label('class/1', h)) AS predicted
  FROM house AS h, LATERAL (SELECT c, sum(contribution) AS eta, sum(exp(sum(contribution))) OVER () AS total FROM unnest(ARRAY['low', 'middle', 'high']) AS c, mlops_explain('class/1', h, c) GROUP BY c) AS e,
       LATERAL (SELECT sum(contribution) AS eta FROM mlops_explain('class/1', h)) AS p WHERE h.id <= 50;

-- A calibrated model is explained before its calibration.
SET client_min_messages = error;
SELECT mlops_train_now('dear', 'house', 'dear', exclude => '{id,price,class}', params => '{"calibration": "platt"}');
RESET client_min_messages;
SELECT abs(sum(contribution) - (SELECT ln(p / (1 - p)) FROM mlops_predict('dear/2', h) AS p)) > 0.001 AS other_than_the_probability
  FROM house AS h, mlops_explain('dear/2', h) WHERE h.id = 3 GROUP BY h.*;

-- Every form of input.
SELECT count(DISTINCT round(contribution::numeric, 9)) AS same
  FROM (SELECT to_jsonb(h) - 'id' AS j FROM house AS h WHERE id = 5) AS h,
       LATERAL (SELECT contribution FROM mlops_explain('price/1', j) WHERE feature = 'sold'
                UNION ALL SELECT contribution FROM mlops_explain('price/1', j::json) WHERE feature = 'sold'
                UNION ALL SELECT contribution FROM mlops_explain('price/1', j::text) WHERE feature = 'sold'
                UNION ALL SELECT contribution FROM house AS r, mlops_explain('price/1', r) WHERE feature = 'sold' AND id = 5) AS e;
SET client_min_messages = error;
SELECT mlops_train_now('flat', 'SELECT area, id, price FROM house', 'price');
RESET client_min_messages;
SELECT feature, value FROM mlops_explain('flat/1', ARRAY[70, 3]);
SELECT feature, value FROM mlops_explain('flat/1', '{70, NULL}');

-- A row that scores NULL has no rows.
SELECT count(*) FROM mlops_explain('price/1', NULL::house);
SELECT count(*) FROM mlops_explain('price/1', NULL::jsonb);

-- ---- transform: where a row lies ----

SET client_min_messages = error;
SELECT mlops_train_now('parts', 'SELECT area, age, price FROM house', algorithm => 'pca', params => '{"components": 2}');
SELECT mlops_train_now('groups', 'SELECT area, age, price FROM house', algorithm => 'kmeans', params => '{"k": 3}');
SELECT mlops_train_now('net', 'SELECT area, price FROM house', 'price', algorithm => 'mlp', params => '{"hidden": [4], "max_epochs": 3}');
RESET client_min_messages;

-- coordinates on components, distances to centres, units of the last hidden layer
SELECT cardinality(mlops_transform('parts/1', h)) AS components, cardinality(mlops_transform('groups/1', h)) AS centres,
       cardinality(mlops_transform('net/1', h)) AS units
  FROM house AS h WHERE id = 1;

-- the cluster is the one whose centre is nearest
SELECT bool_and(d[mlops_predict('groups/1', h)::int] = (SELECT min(x) FROM unnest(d) AS x)) AS nearest
  FROM house AS h, LATERAL (SELECT mlops_transform('groups/1', h)) AS t (d);

-- every form of input, NULL for a row that is NULL
SELECT mlops_transform('parts/1', h) = mlops_transform('parts/1', to_jsonb(h)) AND
       mlops_transform('parts/1', h) = mlops_transform('parts/1', to_json(h)) AND
       mlops_transform('parts/1', h) = mlops_transform('parts/1', to_jsonb(h)::text) AND
       mlops_transform('parts/1', h) = mlops_transform('parts/1', ARRAY[h.area, h.age, h.price]) AS same
  FROM house AS h WHERE id = 4;
SELECT mlops_transform('parts/1', NULL::house) IS NULL AS no_row;

-- ---- what a model does not have ----

SELECT mlops_transform('price/1', h) FROM house AS h WHERE id = 1;
SELECT mlops_predict('parts/1', h) FROM house AS h WHERE id = 1;
SELECT mlops_predict_label('parts/1', h) FROM house AS h WHERE id = 1;
SELECT * FROM house AS h, mlops_predict_all('parts/1', h) WHERE id = 1;
SELECT mlops_predict_proba('groups/1', h) FROM house AS h WHERE id = 1;
SELECT mlops_predict_label('groups/1', h) IN ('1', '2', '3') AS number FROM house AS h WHERE id = 1;
SELECT mlops_predict_proba('price/1', h) FROM house AS h WHERE id = 1;
SELECT mlops_explain('parts/1', h) FROM house AS h WHERE id = 1;
SELECT mlops_explain('groups/1', h) FROM house AS h WHERE id = 1;
SELECT mlops_explain('dear/1', h, 'maybe') FROM house AS h WHERE id = 1;
SELECT mlops_explain('dear/1', h, 'yess') FROM house AS h WHERE id = 1;
SELECT mlops_explain('price/1', h, 'yes') FROM house AS h WHERE id = 1;
SELECT mlops_explain(NULL, h) FROM house AS h WHERE id = 1;

SELECT mlops_drop_model('price'), mlops_drop_model('dear'), mlops_drop_model('class'), mlops_drop_model('flat'),
       mlops_drop_model('parts'), mlops_drop_model('groups'), mlops_drop_model('net');
SET client_min_messages = warning;
DROP SCHEMA explain_test CASCADE;
