-- A table :name of :rows x (12 float8, 6 categories in text), an id, a number and
-- a label to predict. The categories have 2 to 64 values; some are more frequent than others.

SELECT setseed(0.43) \g /dev/null

CREATE UNLOGGED TABLE drawn AS
SELECT id::integer AS id, f.*
  FROM generate_series(1, :rows) AS id
  CROSS JOIN LATERAL (
       SELECT random() * 2 - 1 + 0 * id AS n1, random() * 2 - 1 AS n2, random() * 2 - 1 AS n3, random() * 2 - 1 AS n4,
              random() * 2 - 1 AS n5, random() * 2 - 1 AS n6, -ln(1 - random()) AS n7, -ln(1 - random()) AS n8,
              floor(random() * 100) / 100 AS n9, floor(random() * 10) / 10 AS n10, random() + random() AS n11, random() + random() AS n12,
              floor(2 * random())::integer AS k1, floor(4 * random() * random())::integer AS k2,
              floor(8 * random() * random())::integer AS k3, floor(16 * random() * random())::integer AS k4,
              floor(32 * random())::integer AS k5, floor(64 * random())::integer AS k6) f;

-- numbers and categories matter, some only together
CREATE TABLE :name AS
SELECT id, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10, n11, n12,
       (ARRAY['yes', 'no'])[1 + k1] AS c1, (ARRAY['north', 'south', 'east', 'west'])[1 + k2] AS c2,
       'plan' || k3 AS c3, 'branch' || chr(97 + k4) AS c4, 'line' || k5 AS c5, 'city' || k6 AS c6,
       eta + 2 * (random() + random() + random() - 1.5) AS y,
       random() < 1 / (1 + exp(-eta)) AS label
  FROM (SELECT *, n1 - 0.8 * n2 + 0.5 * n7 - 0.6 + n3 * n4 + n9 * (k1 - 0.5) + 0.7 * sin(k3) + 0.5 * sin(2 * k4)
                  + 0.8 * cos(3 * k5) + 0.6 * sin(5 * k6) * k1 AS eta FROM drawn) AS e;
DROP TABLE drawn;
ALTER TABLE :name ADD PRIMARY KEY (id);
VACUUM (FREEZE, ANALYZE) :name;
