-- Calibration of ozone monitors (Norris, NIST): one column, a nearly perfect
-- line. Certified values: NIST Statistical Reference Datasets, linear
-- regression, level "lower".

CREATE SCHEMA norris_test;
SET search_path = norris_test;
SET client_min_messages = warning;

CREATE TABLE norris (y float8, x float8);
INSERT INTO norris VALUES
(0.1, 0.2),
(338.8, 337.4),
(118.1, 118.2),
(888.0, 884.6),
(9.2, 10.1),
(228.1, 226.5),
(668.5, 666.3),
(998.5, 996.3),
(449.1, 448.6),
(778.9, 777.0),
(559.2, 558.2),
(0.3, 0.4),
(0.1, 0.6),
(778.1, 775.5),
(668.8, 666.9),
(339.3, 338.0),
(448.9, 447.5),
(10.8, 11.6),
(557.7, 556.0),
(228.3, 228.1),
(998.0, 995.8),
(888.8, 887.6),
(119.6, 120.2),
(0.3, 0.3),
(0.6, 0.3),
(557.6, 556.8),
(339.3, 339.1),
(888.0, 887.2),
(998.5, 999.0),
(778.9, 779.0),
(10.2, 11.1),
(117.6, 118.3),
(228.9, 229.2),
(668.4, 669.1),
(449.2, 448.9),
(0.2, 0.5);

CALL mlops_train('norris', 'norris', 'y', holdout => 0);

-- certified values
CREATE TABLE certified (term text, estimate float8, std_error float8);
INSERT INTO certified VALUES
('(intercept)', -0.262323073774029, 0.232818234301152),
('x', 1.00211681802045, 0.429796848199937E-03);

-- at least nine digits of every coefficient and every standard error
SELECT term,
       abs(k.estimate - c.estimate) <= 1e-9 * abs(c.estimate) AS estimate_agrees,
       abs(k.std_error - c.std_error) <= 1e-9 * c.std_error AS std_error_agrees
  FROM certified c LEFT JOIN mlops_coefficients('norris/1') k USING (term)
 ORDER BY term COLLATE "C";

-- and of what sums up the fit
SELECT abs((facts ->> 'residual_standard_error')::float8 / 0.884796396144373 - 1) < 1e-9 AS residual_deviation_agrees,
       abs((facts ->> 'r_squared')::float8 / 0.999993745883712 - 1) < 1e-9 AS r_squared_agrees,
       abs((facts ->> 'f_statistic')::float8 / 5436385.54079785 - 1) < 1e-9 AS f_agrees,
       (facts ->> 'degrees_of_freedom')::int = 34 AS degrees_agree
  FROM mlops.version WHERE model = 'norris';

SELECT count(mlops_drop_model(m, force => true)::text) AS dropped FROM unnest(ARRAY['norris']) AS m;
DROP SCHEMA norris_test CASCADE;
