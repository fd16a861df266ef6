-- Longley's economic data of 1967 (Journal of the American Statistical
-- Association 62:819-841): seven highly correlated columns, on which programs
-- that solve the normal equations lose most of their digits. Certified values:
-- NIST Statistical Reference Datasets, linear regression, level "higher".

CREATE SCHEMA longley_test;
SET search_path = longley_test;
SET client_min_messages = warning;

CREATE TABLE longley (y float8, x1 float8, x2 float8, x3 float8, x4 float8, x5 float8, x6 float8);
INSERT INTO longley VALUES
(60323, 83.0, 234289, 2356, 1590, 107608, 1947),
(61122, 88.5, 259426, 2325, 1456, 108632, 1948),
(60171, 88.2, 258054, 3682, 1616, 109773, 1949),
(61187, 89.5, 284599, 3351, 1650, 110929, 1950),
(63221, 96.2, 328975, 2099, 3099, 112075, 1951),
(63639, 98.1, 346999, 1932, 3594, 113270, 1952),
(64989, 99.0, 365385, 1870, 3547, 115094, 1953),
(63761, 100.0, 363112, 3578, 3350, 116219, 1954),
(66019, 101.2, 397469, 2904, 3048, 117388, 1955),
(67857, 104.6, 419180, 2822, 2857, 118734, 1956),
(68169, 108.4, 442769, 2936, 2798, 120445, 1957),
(66513, 110.8, 444546, 4681, 2637, 121950, 1958),
(68655, 112.6, 482704, 3813, 2552, 123366, 1959),
(69564, 114.2, 502601, 3931, 2514, 125368, 1960),
(69331, 115.7, 518173, 4806, 2572, 127852, 1961),
(70551, 116.9, 554894, 4007, 2827, 130081, 1962);

CALL mlops_train('longley', 'longley', 'y', holdout => 0);

-- certified values
CREATE TABLE certified (term text, estimate float8, std_error float8);
INSERT INTO certified VALUES
('(intercept)', -3482258.63459582, 890420.383607373),
('x1', 15.0618722713733, 84.9149257747669),
('x2', -0.358191792925910E-01, 0.334910077722432E-01),
('x3', -2.02022980381683, 0.488399681651699),
('x4', -1.03322686717359, 0.214274163161675),
('x5', -0.511041056535807E-01, 0.226073200069370),
('x6', 1829.15146461355, 455.478499142212);

-- at least nine digits of every coefficient and every standard error
SELECT term,
       abs(k.estimate - c.estimate) <= 1e-9 * abs(c.estimate) AS estimate_agrees,
       abs(k.std_error - c.std_error) <= 1e-9 * c.std_error AS std_error_agrees
  FROM certified c LEFT JOIN mlops_coefficients('longley/1') k USING (term)
 ORDER BY term COLLATE "C";

-- and of what sums up the fit
SELECT abs((facts ->> 'residual_standard_error')::float8 / 304.854073561965 - 1) < 1e-9 AS residual_deviation_agrees,
       abs((facts ->> 'r_squared')::float8 / 0.995479004577296 - 1) < 1e-9 AS r_squared_agrees,
       abs((facts ->> 'f_statistic')::float8 / 330.285339234588 - 1) < 1e-9 AS f_agrees,
       (facts ->> 'degrees_of_freedom')::int = 9 AS degrees_agree
  FROM mlops.version WHERE model = 'longley';

-- the condition number says how near to collinear the columns are
SELECT (facts ->> 'condition_number')::float8 > 100 AS badly_conditioned FROM mlops.version WHERE model = 'longley';

SELECT count(mlops_drop_model(m, force => true)::text) AS dropped FROM unnest(ARRAY['longley']) AS m;
DROP SCHEMA longley_test CASCADE;
