-- Changes programs of rules and checks at random, as test/fuzz/artifact.sql does with
-- artifacts, runs on rows of values and of NULLs what is still a program, and
-- has a part of these serve, where only columns that are not there may be refused:
--     psql -v rounds=100000 -v seed=7 -f test/fuzz/rules.sql
-- from the top of the source, as a superuser, in a database with the extension.
-- Prints the outcomes; errors that do not say what is wrong with a program fail.

\set ON_ERROR_STOP on
\set QUIET on
CREATE SCHEMA rules_fuzz;
SET search_path = rules_fuzz;
SET client_min_messages = warning;
\i test/fuzz/mutate.sql

-- programs with every instruction there is
CREATE TABLE point AS SELECT i::float8 AS a, i::float8 AS b, i % 2 = 0 AS p, 'text' || i % 3 AS t, now()::timestamp + i * interval '1 hour' AS d, now() + i * interval '1 hour' AS z, i > 30 AS y
  FROM generate_series(1, 60) AS i;
SELECT mlops_train_now('rules_fuzz', 'point', 'y', params => '{"l2": 1}');
SELECT mlops_create_rules('rules_fuzz', jsonb_build_object('columns', '{"s": "text", "n": "number"}'::jsonb, 'rules',
           jsonb_agg(jsonb_build_object('name', i::text, 'when', c, 'then',
                                        ('[{"set": 0.5}, {"clip": [0.1, 0.9]}, {"label": "other"}, {"suppress": true}, {"use": "fallback"}]'::jsonb) -> (i::int % 5), 'stop', i % 7 = 0))))
  FROM unnest(ARRAY[
    'a > 1', 'prediction < 0.5 AND b = 3', $$t = 'text1' AND s <> 'x'$$, $$p AND NOT (a IS NULL) OR label = 'true'$$,
    'a + b - n * 2 / a > 3 OR a % 2 = 1 OR a ^ 2 < 5', '-a < abs(b) + sign(n) + round(a) + floor(a) + ceil(a) + trunc(a)',
    'sqrt(a) + exp(b) + ln(n) + log10(a) > 2', $$a IN (1, 2, 3) OR t IN ('a', 'text2')$$, 'a BETWEEN 1 AND 5 AND b NOT BETWEEN SYMMETRIC 9 AND 7',
    $$t LIKE '%e_t%' OR s ILIKE 'T%\_'$$, $$lower(t) || upper(s) = 'x'$$, 'length(t) > 3 AND substr(t, 2) < substring(s FROM 2 FOR 3)',
    $$left(t, 2) = right(s, -1) OR starts_with(t, s) OR strpos(t, 'e') > 1$$, $$btrim(t) = ltrim(s) OR rtrim(t) = ''$$,
    'a::text = t OR a::boolean OR a::int = 3 OR b::bigint = 4 OR n::smallint = 2 OR a::real = 1', $$p::text = 'true' AND p::int = 1$$,
    't::float8 > 1 OR t::int > 2 OR t::boolean OR t::timestamp > d OR t::timestamptz > z', 'd::text = t OR z::text = s',
    'd::timestamptz > z AND z::timestamp < d AND d::date = d', $$z + interval '3 days' > now() AND d - interval '1 hour' < d$$,
    'extract(year FROM d) + extract(week FROM z) + extract(epoch FROM z) + extract(dow FROM d) > 3', 'to_timestamp(a) > z',
    'CASE WHEN p THEN a WHEN a > 2 THEN b ELSE n END > 1', 'coalesce(a, b, n) > 0 AND nullif(t, s) IS NOT NULL', 'greatest(a, b, n) > least(a, 3)',
    'greatest(t, s) = least(t, s) OR greatest(d, d) < least(d, d) OR greatest(p, p)', 'nullif(d, d) IS NULL OR nullif(p, true) OR nullif(a, 1) > 1',
    'a IS DISTINCT FROM b AND t IS DISTINCT FROM s AND p IS DISTINCT FROM NULL AND d IS DISTINCT FROM d', 'p IS TRUE OR p IS NOT FALSE OR p IS UNKNOWN',
    $$key = 'k' OR NULL OR NULL::text = t OR NULL::timestamp < d OR NULL::float8 < 1$$, $$d > '2024-01-01' AND p = true AND p <> false$$, $$n > 3 AND s = 'y'$$]) WITH ORDINALITY AS u (c, i);
SELECT mlops_create_rules('rules_fuzz', $$[{"name": "short", "when": "a > 1 AND prediction > 0.5 AND t = 'x'", "then": {"set": 0}}]$$);
SELECT mlops_create_rules('rules_fuzz', $$[{"name": "short", "when": "a > 1", "then": {"use": "fallback"}}]$$, checks => $$[
    {"name": "m", "check": "missing"}, {"name": "m1", "check": "missing", "columns": ["a", "t", "d"], "severity": "hard"}, {"name": "u", "check": "unseen", "column": "t"},
    {"name": "r", "check": "range", "bounds": {"a": [3, 50], "b": [null, 40]}, "severity": "hard"}, {"name": "ty", "check": "type"}, {"name": "f", "check": "finite", "severity": "hard"},
    {"name": "ms", "check": "missing_share", "high": 0.1}, {"name": "us", "check": "unseen_share", "column": "t", "high": 0.2}]$$);
SELECT mlops_create_rules('rules_fuzz', checks => $$[{"name": "r", "check": "range", "column": "b", "low": 3, "high": 50, "severity": "hard"}]$$);
SELECT mlops_promote('rules_fuzz', 1, rules => 1);
CREATE TEMP TABLE programs AS SELECT number AS i, program AS bytes FROM mlops_catalog.rule_set WHERE model = 'rules_fuzz';

CREATE FUNCTION fuzz_step(bytes bytea) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM mlops.rules_check(bytes);
    PERFORM mlops.program_checks(bytes);
    IF random() > 0.1 THEN
        RETURN 'a program';
    END IF;
    UPDATE mlops_catalog.rule_set SET program = bytes, sha256 = sha256(bytes) WHERE model = 'rules_fuzz' AND number = 1;
    UPDATE mlops_catalog.serving SET rules_sha256 = sha256(bytes) WHERE model = 'rules_fuzz';
    BEGIN
        PERFORM mlops_predict('rules_fuzz', r), mlops_predict('rules_fuzz', to_jsonb(r)), mlops_predict('rules_fuzz', to_jsonb(r) || '{"a": "x", "t": null, "d": 7}')
           FROM (SELECT q.*, 's'::text AS s, NULLIF(a, 7) AS n FROM point AS q LIMIT 10) AS r;
    EXCEPTION WHEN undefined_column OR datatype_mismatch OR undefined_object THEN
        RETURN 'serves, but not this row';
    END;
    RETURN 'serves';
EXCEPTION WHEN OTHERS THEN
    RETURN CASE WHEN SQLSTATE = 'ML004' THEN SQLSTATE ELSE SQLSTATE || ': ' || SQLERRM END;
END
$$;

CREATE TEMP TABLE outcomes AS
SELECT fuzz_step(f.bytes) AS outcome, count(*) AS n, min(f.round) AS first_round
  FROM (SELECT round, fuzz_mutate(a.bytes, b.bytes, :seed, round) AS bytes
          FROM generate_series(1, :rounds) AS round, (SELECT count(*) AS n FROM programs) AS c,
               LATERAL (SELECT bytes FROM programs WHERE i = 1 + fuzz_number(:seed, round, 'program', c.n::int)) AS a,
               LATERAL (SELECT bytes FROM programs WHERE i = 1 + fuzz_number(:seed, round, 'other program', c.n::int)) AS b) AS f
 GROUP BY 1;
SELECT mlops_drop_model('rules_fuzz', force => true);
DROP SCHEMA rules_fuzz CASCADE;
TABLE outcomes ORDER BY n DESC;
SELECT 1 / (count(*) = 0)::int AS passed FROM outcomes WHERE outcome NOT IN ('a program', 'serves', 'serves, but not this row', 'ML004');
