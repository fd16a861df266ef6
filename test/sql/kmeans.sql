-- k-means minimises the squared distances of rows to the centres of their
-- clusters. On R's USArrests, standardised, four clusters have a sum of squares
-- of 56.40317 in units of the standard deviation with divisor n - 1 (R:
-- kmeans(scale(USArrests), 4, nstart = 25), sizes 8, 13, 13 and 16, of a total
-- of 196); ours are in units of the one with divisor n.

CREATE SCHEMA kmeans_test;
SET search_path = kmeans_test;
SET client_min_messages = warning;
\i test/sql/include/us_arrests.sql

SELECT mlops_train_now('states', 'us_arrests', algorithm => 'kmeans', params => '{"k": 4, "tolerance": 0}',
                       exclude => '{state}', holdout => 0) AS version;
SELECT abs((facts ->> 'inertia')::float8 * 49 / 50 / 56.40317 - 1) < 1e-6 AS as_published,
       abs((facts ->> 'explained_variance')::float8 - (1 - 56.40317 / 196)) < 1e-6 AS share_as_published,
       abs((training_metrics ->> 'inertia')::float8 * 50 / (facts ->> 'inertia')::float8 - 1) < 1e-12 AS a_row,
       facts ->> 'converged' AS converged
  FROM mlops.version WHERE model = 'states';

-- clusters are numbered by size; labels are numbers as text
SELECT mlops_predict('states/1', s) AS cluster, mlops_predict_label('states/1', s) AS label, count(*)
  FROM us_arrests AS s GROUP BY 1, 2 ORDER BY 1;
SELECT mlops_predict('states/1', s) = (SELECT mlops_predict('states/1', t) FROM us_arrests AS t WHERE state = 'Texas') AS as_texas
  FROM us_arrests AS s WHERE state IN ('California', 'Vermont') ORDER BY state;

-- coefficients are the centres in units of the columns: the means of the rows in each cluster
SELECT count(*), max(abs(estimate - mean)) < 1e-9 AS means
  FROM mlops_coefficients('states/1') AS c
  JOIN (SELECT mlops_predict_label('states/1', s) AS output, 'murder' AS term, avg(murder) AS mean FROM us_arrests AS s GROUP BY 1
        UNION ALL
        SELECT mlops_predict_label('states/1', s), 'rape', avg(rape) FROM us_arrests AS s GROUP BY 1) AS m USING (output, term);

-- the distances to all centres; a row belongs to the nearest
SELECT bool_and(distances[cluster] = (SELECT min(d) FROM unnest(distances) AS d)) AS nearest,
       abs(sum(distances[cluster] ^ 2) * 49 / 50 / 56.40317 - 1) < 1e-6 AS add_up
  FROM (SELECT mlops_transform('states/1', s) AS distances, mlops_predict('states/1', s)::int AS cluster FROM us_arrests AS s) AS t;
SELECT feature, share > 0.1 AS matters FROM mlops_importance('states/1') ORDER BY feature COLLATE "C";

-- Rousseeuw's silhouette of three groups far from each other is near 1
CREATE TABLE groups AS
SELECT g * 100 + i % 10 AS x, CASE g WHEN 2 THEN NULL ELSE i % 3 END AS y, 'g' || g AS name
  FROM generate_series(0, 2) AS g, generate_series(1, 60) AS i;
SELECT mlops_train_now('groups', 'SELECT x, name FROM groups', algorithm => 'kmeans', params => '{"k": 3}', holdout => 0) AS version;
SELECT (facts ->> 'silhouette')::float8 > 0.9 AS far, facts -> 'inertia_by_iteration' ->> -1 IS NOT NULL AS followed
  FROM mlops.version WHERE model = 'groups';
SELECT name, count(DISTINCT mlops_predict('groups/1', g)) AS clusters FROM groups AS g GROUP BY name ORDER BY name COLLATE "C";

-- standardise => false takes the units as they are; a number missing counts as the mean
SELECT mlops_train_now('groups', 'SELECT x, y FROM groups', algorithm => 'kmeans', params => '{"k": 3, "standardise": false}', holdout => 0) AS version;
SELECT round((facts ->> 'inertia')::numeric, 4) AS inertia FROM mlops.version WHERE model = 'groups' AND version = 2;

-- a weight counts as that many rows
SELECT mlops_train_now('twice', 'SELECT x, 1 + (x > 150)::int AS w FROM groups', algorithm => 'kmeans', params => '{"k": 2}', weight => 'w', holdout => 0) AS version;
SELECT mlops_train_now('twice', 'SELECT x FROM groups UNION ALL SELECT x FROM groups WHERE x > 150', algorithm => 'kmeans', params => '{"k": 2}', holdout => 0) AS version;
SELECT count(*), max(abs(a.estimate - b.estimate)) < 1e-9 AS same
  FROM mlops_coefficients('twice/1') AS a JOIN mlops_coefficients('twice/2') AS b USING (output, term);

-- one cluster is the mean; as many clusters as rows lose nothing
SELECT mlops_train_now('edges', 'SELECT x FROM (VALUES (1.0), (2), (4)) AS v (x)', algorithm => 'kmeans', params => '{"k": 1}', holdout => 0) AS version;
SELECT round(estimate::numeric, 6) AS mean FROM mlops_coefficients('edges/1');
SELECT mlops_train_now('edges', 'SELECT x FROM (VALUES (1.0), (2), (4)) AS v (x)', algorithm => 'kmeans', params => '{"k": 3}', holdout => 0) AS version;
SELECT (facts ->> 'inertia')::float8 < 1e-20 AS nothing_lost FROM mlops.version WHERE model = 'edges' AND version = 2;

-- stopped too early: a warning, not an error
SELECT mlops_train_now('early', 'SELECT sin(i * 7.1) AS x, cos(i * 3.3) AS y FROM generate_series(1, 20000) AS i',
                       algorithm => 'kmeans', params => '{"k": 20, "max_iterations": 1, "tolerance": 0}') AS version;
SELECT facts ->> 'converged' AS converged, warnings FROM mlops.version WHERE model = 'early';

-- passes in SQL, over slices merged in any order, give the same centres
CREATE FUNCTION fit_in_sql(pass mlops.state) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    state mlops.state;
BEGIN
    LOOP
        SELECT mlops.merge(slice.state ORDER BY md5(part::text)) INTO state
          FROM (SELECT length(s.state) % 3 AS part,
                       mlops.kmeans_state(ARRAY[murder, assault, urban_pop, rape], 1, fit_in_sql.pass)::text::mlops.state AS state
                  FROM us_arrests AS s GROUP BY 1) AS slice;
        pass := mlops.next(state);
        IF pass IS NULL THEN
            RETURN mlops.final(state);
        END IF;
    END LOOP;
END
$$;
SELECT abs((r ->> 'inertia')::float8 * 49 / 50 / 56.40317 - 1) < 1e-6 AS as_published,
       abs((r ->> 'inertia')::float8 / (v.facts ->> 'inertia')::float8 - 1) < 1e-9 AS as_in_memory,
       r -> 'weights' AS weights
  FROM fit_in_sql(mlops.pass('kmeans', '{"k": 4, "tolerance": 0}')) AS r, mlops.version AS v WHERE v.model = 'states';

-- refused
CALL mlops_train('refused', 'SELECT x FROM groups', algorithm => 'kmeans', params => '{"k": 0}');
CALL mlops_train('refused', 'SELECT x FROM groups', algorithm => 'kmeans', params => '{"k": 31}', holdout => 0);
\echo :LAST_ERROR_SQLSTATE
CALL mlops_train('refused', 'SELECT x FROM groups LIMIT 5', algorithm => 'kmeans', params => '{"k": 6}', holdout => 0);
CALL mlops_train('refused', 'SELECT 1 AS x FROM groups', algorithm => 'kmeans', holdout => 0);
\echo :LAST_ERROR_SQLSTATE
SELECT mlops_predict_proba('states/1', s) FROM us_arrests AS s LIMIT 1;

SELECT count(mlops_drop_model(m, force => true)::text) AS dropped FROM unnest(ARRAY['states', 'groups', 'twice', 'edges', 'early']) AS m;
DROP SCHEMA kmeans_test CASCADE;
