-- What is measured besides the learners.

-- 30 features and few rows, for the memory of a session
CREATE TABLE small AS
SELECT t.*, f1 * f2 AS f29, f3 - f4 AS f30 FROM t WHERE id <= 5000;

-- what a promotion is compared with
CREATE TABLE one (id integer PRIMARY KEY, n bigint NOT NULL);
INSERT INTO one VALUES (1, 0);
VACUUM (FREEZE, ANALYZE) small;
CHECKPOINT;
