-- A table :name of the benchmark: :rows x 28 float8, an id, a number and a label to
-- predict. setseed() makes it the same at every run of one PostgreSQL version.

SELECT setseed(0.42) \g /dev/null

CREATE UNLOGGED TABLE drawn AS
SELECT id::integer AS id, f.*
  FROM generate_series(1, :rows) AS id
  CROSS JOIN LATERAL (
       SELECT random() * 2 - 1 + 0 * id AS f1, random() * 2 - 1 AS f2, random() * 2 - 1 AS f3, random() * 2 - 1 AS f4,
              random() * 2 - 1 AS f5, random() * 2 - 1 AS f6, random() * 2 - 1 AS f7, random() * 2 - 1 AS f8,
              random() * 2 - 1 AS f9, random() * 2 - 1 AS f10, random() * 2 - 1 AS f11, random() * 2 - 1 AS f12,
              random() * 2 - 1 AS f13, random() * 2 - 1 AS f14, random() * 2 - 1 AS f15, random() * 2 - 1 AS f16,
              random() * 2 - 1 AS f17, random() * 2 - 1 AS f18, random() * 2 - 1 AS f19, random() * 2 - 1 AS f20,
              random() * 2 - 1 AS f21, random() * 2 - 1 AS f22, random() * 2 - 1 AS f23, random() * 2 - 1 AS f24,
              random() * 2 - 1 AS f25, random() * 2 - 1 AS f26, random() * 2 - 1 AS f27, random() * 2 - 1 AS f28) f;

-- 8 of the 28 matter; noise keeps both problems imperfect
CREATE TABLE :name AS
SELECT id, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23,
       f24, f25, f26, f27, f28,
       eta + 2 * (random() + random() + random() - 1.5) AS y,
       random() < 1 / (1 + exp(-eta)) AS label
  FROM (SELECT *, 0.3 + 1.5 * f1 - f2 + 0.7 * f5 - 0.5 * f9 + 0.4 * f13 + 0.8 * f20 - 1.2 * f27 + 0.6 * f28 AS eta FROM drawn) AS e;
DROP TABLE drawn;
ALTER TABLE :name ADD PRIMARY KEY (id);
VACUUM (FREEZE, ANALYZE) :name;
