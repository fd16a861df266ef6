-- The language of rules is SQL, calculated by mlops itself: an expression gives
-- what the server gives, over doubles, text by its bytes and times. Where the
-- server raises an error, the value is NULL and an error is counted.
CREATE SCHEMA rule_language;
SET search_path = rule_language, pg_catalog;
SET timezone = 'UTC';
SET datestyle = 'ISO';

-- rows with what is on the edge; texts sort by their bytes
CREATE TABLE edge (id int, a float8, b float8, c float8, t text COLLATE "C", s text COLLATE "C",
                   p boolean, q boolean, d timestamp, e timestamp, z timestamptz);
INSERT INTO edge VALUES
    (1, 0, 1, -1, '', 'a', true, false, '2024-02-29 13:45:10.5', '2024-12-31', '2024-03-31 01:30+00'),
    (2, 1, 0, 0.5, 'Abc', 'b%', false, NULL, '1969-12-31 23:59:59.999999', '2000-01-01', '1999-12-31 23:59:59+00'),
    (3, -2.5, 3.5, 1e10, 'Äöü ß', ' x ', NULL, true, '2021-01-03 12:00', '2021-01-03 12:00', NULL),
    (4, 1e308, 1e308, -1e308, '12', '3.5e1', true, true, '1752-09-14', '2023-10-29 02:30', '2023-10-29 01:30+00'),
    (5, 1e-308, 1e-20, 709.8, ' 7 ', 't', false, false, NULL, '1582-10-15', '2262-04-11 23:47:16+00'),
    (6, NULL, 2, NULL, NULL, '_', NULL, NULL, '9999-12-31 23:59:59', NULL, '2024-02-29 00:00+00'),
    (7, 2147483647.5, -0.5, 2.5, 'yes', NULL, true, NULL, '2020-12-31', '2016-02-29 08:00', '1970-01-01 00:00+00'),
    (8, -0.0, 1e-200, -1e-200, 'a\b_%', 'A\b_%', false, true, '1999-01-01 00:00:00.000001', '2008-08-08 08:08:08.08', '2001-09-09 01:46:40+00'),
    (9, 4, 2, 0.333333333333333, 'aaaaaaaaaaaaaaaaaaaab', '%a%a%a%a%a%a%c', true, false, '2000-02-28', '2000-03-01', '2038-01-19 03:14:08+00'),
    (10, 100, 100, 100, 'off', 'on', false, true, '2019-12-30', '2019-12-30', '2019-12-30 00:00+00');

-- ---- expressions by chance: of a type, so deep ----
CREATE FUNCTION pick(VARIADIC choices text[]) RETURNS text LANGUAGE sql VOLATILE
    AS 'SELECT choices[1 + floor(random() * array_length(choices, 1))::int]';

CREATE FUNCTION expression(type text, depth int) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    d int := depth - 1;
BEGIN
    IF depth <= 0 THEN
        RETURN CASE type WHEN 'n' THEN pick('a', 'b', 'c') WHEN 't' THEN pick('t', 's')
                         WHEN 'b' THEN pick('p', 'q') WHEN 'd' THEN pick('d', 'e') ELSE 'z' END;
    END IF;
    IF type = 'n' THEN
        RETURN CASE floor(random() * 13)::int
            WHEN 0 THEN format('(%s %s %s)', expression('n', d), pick('+', '-', '*', '/', '/'), expression('n', d))
            WHEN 1 THEN format('(%s %s %s)', expression('n', d), pick('+', '-', '*', '/'), pick('2::float8', '0::float8', '1e300::float8', '0.1::float8', '1e-300::float8'))
            WHEN 2 THEN format('%s(%s)', pick('abs', 'sign', 'round', 'floor', 'ceil', 'ceiling', 'trunc'), expression('n', d))
            WHEN 3 THEN format('%s(%s)', pick('sqrt', 'exp', 'ln', 'log', 'log10'), expression('n', d))
            WHEN 4 THEN format('%s(%s, %s)', pick('power', 'pow'), expression('n', d), pick('2::float8', '0.5::float8', '-1::float8', expression('n', d)))
            WHEN 5 THEN format('(- %s)', expression('n', d))
            WHEN 6 THEN format('%s(%s)::float8', pick('length', 'char_length'), expression('t', d))
            WHEN 7 THEN format('strpos(%s, %s)::float8', expression('t', d), pick($q$'a'$q$, $q$'b_'$q$, 's'))
            WHEN 8 THEN format('(%s)::%s::float8', expression('n', d), pick('int', 'bigint', 'smallint', 'real', 'numeric'))
            WHEN 9 THEN format('(%s)::%s::float8', expression('t', d), pick('int', 'bigint', 'smallint', 'float8'))
            WHEN 10 THEN format('extract(%s FROM %s)::float8', pick('year', 'quarter', 'month', 'week', 'day', 'dow', 'isodow', 'doy', 'hour', 'minute', 'second', 'epoch'), expression(pick('d', 'z'), d))
            WHEN 11 THEN format('(%s)::int::float8', expression('b', d))
            ELSE either('n', d) END;
    ELSIF type = 't' THEN
        RETURN CASE floor(random() * 9)::int
            WHEN 0 THEN format('%s(%s)', pick('lower', 'upper', 'btrim', 'ltrim', 'rtrim', 'trim'), expression('t', d))
            WHEN 1 THEN format('%s(%s, %s)', pick('left', 'right', 'substr', 'substring'), expression('t', d), pick('0', '1', '3', '-1', '-2', '100'))
            WHEN 2 THEN format('%s(%s, %s, %s)', pick('substr', 'substring'), expression('t', d), pick('0', '2', '-1'), pick('0', '1', '3', '-1', '2000000000'))
            WHEN 3 THEN format('(%s || %s)', expression('t', d), expression('t', d))
            WHEN 4 THEN format('(%s)::text', expression('n', d))
            WHEN 5 THEN format('(%s)::text', expression('b', d))
            WHEN 6 THEN format('(%s)::text', expression(pick('d', 'z'), d))
            WHEN 7 THEN format('substring(%s FROM 2 FOR 2)', expression('t', d))
            ELSE either('t', d) END;
    ELSIF type IN ('d', 'z') THEN
        RETURN CASE floor(random() * 5)::int
            WHEN 0 THEN format('(%s %s interval %L)', expression(type, d), pick('+', '-'), pick('1 day', '36 hours', '400 days', '0.5 seconds'))
            WHEN 1 THEN format('(%s)::%s', expression(translate(type, 'dz', 'zd'), d), CASE type WHEN 'd' THEN 'timestamp' ELSE 'timestamptz' END)
            WHEN 2 THEN CASE type WHEN 'd' THEN format('((%s)::date)::timestamp', expression(pick('d', 'z'), d))
                                  ELSE pick('now()', 'CURRENT_TIMESTAMP', 'to_timestamp(abs(b))') END
            ELSE either(type, d) END;
    END IF;
    RETURN CASE floor(random() * 13)::int
        WHEN 0 THEN format('(%s AND %s)', expression('b', d), expression('b', d))
        WHEN 1 THEN format('(%s OR %s)', expression('b', d), expression('b', d))
        WHEN 2 THEN format('(NOT %s)', expression('b', d))
        WHEN 3 THEN format('(%s IS %s%s)', expression('b', d), pick('', 'NOT '), pick('TRUE', 'FALSE', 'UNKNOWN', 'NULL'))
        WHEN 4 THEN format('(%s IS %sNULL)', expression(pick('n', 't', 'd', 'z'), d), pick('', 'NOT '))
        WHEN 5 THEN format('(%s %sBETWEEN %s%s AND %s)', expression('n', d), pick('', 'NOT '), pick('', 'SYMMETRIC '), expression('n', d), pick('1::float8', expression('n', d)))
        WHEN 6 THEN format('(%s %sIN (%s))', expression('n', d), pick('', 'NOT '), pick('1, 2, 100', '0, NULL', '1, ' || expression('n', d), '3'))
        WHEN 7 THEN format('(%s %sIN (%s))', expression('t', d), pick('', 'NOT '), pick($q$'Abc', '12'$q$, $q$'', NULL$q$, $q$'a', s$q$))
        WHEN 8 THEN format('(%s %s%s %s)', expression('t', d), pick('', 'NOT '), pick('LIKE', 'ILIKE'), pick($q$'a%'$q$, $q$'%B%'$q$, $q$'_'$q$, $q$'%\_\%'$q$, $q$'Ä%'$q$, $q$'%a%a%a%b'$q$, 's'))
        WHEN 9 THEN format('starts_with(%s, %s)', expression('t', d), pick($q$'A'$q$, $q$''$q$, 's'))
        WHEN 10 THEN format('(%s)::%s', expression(pick('t', 't'), d), 'boolean')
        WHEN 11 THEN either('b', d)
        ELSE comparison(pick('n', 't', 'b', 'd', 'z'), d) END;
END $$;

CREATE FUNCTION comparison(type text, depth int) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT format('(%s %s %s)', expression(type, depth),
                  pick('=', '<>', '!=', '<', '<=', '>', '>=', 'IS DISTINCT FROM', 'IS NOT DISTINCT FROM'),
                  pick(expression(type, depth),
                       CASE type WHEN 'n' THEN '1::float8' WHEN 't' THEN quote_literal('Abc') WHEN 'b' THEN 'true'
                                 ELSE quote_literal('2021-01-03 12:00') END)) $$;

-- what every type has
CREATE FUNCTION either(type text, depth int) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT CASE floor(random() * 6)::int
        WHEN 0 THEN format('CASE WHEN %s THEN %s WHEN %s THEN %s ELSE %s END', expression('b', depth), expression(type, depth), expression('b', depth), expression(type, depth), expression(type, depth))
        WHEN 1 THEN format('CASE WHEN %s THEN %s END', expression('b', depth), expression(type, depth))
        WHEN 2 THEN format('CASE %s WHEN %s THEN %s ELSE %s END', expression('t', depth), expression('t', depth), expression(type, depth), expression(type, depth))
        WHEN 3 THEN format('coalesce(%s, %s)', expression(type, depth), expression(type, depth))
        WHEN 4 THEN format('nullif(%s, %s)', expression(type, depth), expression(type, depth))
        ELSE format('%s(%s, %s, %s)', pick('greatest', 'least'), expression(type, depth), expression(type, depth), expression(type, depth)) END $$;

-- ---- both calculate it ----
-- every number of rules is a double, and numeric is no other: what the server makes of one has 15 digits
CREATE FUNCTION by_server(expression text, id int, OUT value text, OUT error boolean) LANGUAGE plpgsql AS $$
BEGIN
    error := false;
    EXECUTE format('SELECT (%s)::text FROM edge WHERE edge.id = $1', replace(expression, '::numeric::float8', '::float8')) INTO value USING id;
EXCEPTION WHEN data_exception THEN
    error := true;
END $$;

CREATE FUNCTION types() RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb '{"a": "float8", "b": "numeric", "c": "number", "t": "text", "s": "varchar", "p": "bool", "q": "boolean",
                   "d": "timestamp", "e": "date", "z": "timestamptz"}' $$;

CREATE TABLE tried AS
    SELECT n, type, expression(type, 1 + n % 4) AS text
      FROM (SELECT setseed(0.42)) AS s, generate_series(1, 2500) AS n, LATERAL (SELECT (ARRAY['n', 't', 'b', 'b', 'd', 'z'])[1 + n % 6] AS type) AS y;

CREATE TABLE result AS
    SELECT t.n, t.text, r.id, s.value AS server, s.error AS server_error, m.value AS mlops, m.error AS mlops_error
      FROM tried AS t, edge AS r, by_server(t.text, r.id) AS s,
           mlops.rule_value(t.text, types(), to_jsonb(r) - 'id') AS m;

-- equal where the server has a value; an error where it raises one
SELECT count(*) AS results, count(*) FILTER (WHERE NOT server_error) BETWEEN 15000 AND 24500 AS many_with_value,
       count(*) FILTER (WHERE server_error) > 500 AS many_with_error,
       count(DISTINCT server) > 1000 AS of_many_values
  FROM result;
SELECT count(*) AS differ FROM result
 WHERE (NOT server_error AND (mlops_error OR server IS DISTINCT FROM mlops)) OR (server_error AND NOT mlops_error);
SELECT text, id, server, server_error, mlops, mlops_error FROM result
 WHERE (NOT server_error AND (mlops_error OR server IS DISTINCT FROM mlops)) OR (server_error AND NOT mlops_error)
 ORDER BY length(text), id LIMIT 3;

-- ---- conditions of rules, over the columns of a query: they hold where SQL says true ----
SET client_min_messages = warning;
SELECT mlops_train_now('rule_language', 'SELECT i AS x, 2 * i AS y FROM generate_series(1, 50) AS i', 'y', 'linear_regression') AS version;
CREATE TABLE condition AS
    SELECT row_number() OVER (ORDER BY t.n) - 1 AS i, t.text, count(*) FILTER (WHERE r.server = 'true') AS holds
      FROM tried AS t JOIN result AS r USING (n) WHERE t.type = 'b' GROUP BY t.n, t.text HAVING bool_and(NOT r.server_error);
CREATE TABLE fired AS
    SELECT c.* FROM (SELECT i / 64 AS set, jsonb_build_object('columns', types(), 'rules',
                                jsonb_agg(jsonb_build_object('name', i::text, 'when', text, 'then', '{"set": 1}'::jsonb) ORDER BY i)) AS rules
                       FROM condition GROUP BY i / 64) AS s,
                    mlops_check_rules('rule_language', s.rules, 'SELECT 1 AS x, e.* FROM rule_language.edge AS e') AS c;
SELECT count(*) > 300 AS many, count(*) FILTER (WHERE holds > 0) > 100 AS often_true, count(*) FILTER (WHERE f.fired <> holds) AS differ,
       count(*) FILTER (WHERE f.errors > 0) AS with_error, bool_and(f.rows = 10) AS of_all_rows
  FROM condition AS c JOIN fired AS f ON f.rule = c.i::text;
SELECT mlops_drop_model('rule_language');

-- ---- where it is not the server's float8 ----
CREATE FUNCTION gives(expression text, input jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(value, 'NULL') || CASE WHEN error THEN ', error' ELSE '' END FROM mlops.rule_value(expression, types(), input) $$;

-- every number is a double, so that / does not cut; % has the sign of its left side
SELECT gives('7 / 2') AS seven_halves, gives('-7 % 3') AS rest, gives('mod(7, 0)') AS by_zero, gives('2 ^ 10') AS power;
-- NaN is NULL wherever it comes from
SELECT gives('a IS NULL', '{"a": "NaN"}') AS nan_in, gives('a - a', '{"a": "Infinity"}') AS nan_made,
       gives('a > 1e308', '{"a": "Infinity"}') AS infinity;
-- only A to Z have another case; text is compared by its bytes, whatever the locale
SELECT gives('upper(t)', '{"t": "aÄä"}') AS upper, gives($$t ILIKE 'AÄ'$$, '{"t": "aÄ"}') AS ilike, gives($$'Z' < 'a'$$) AS bytes;
-- a column that is not there is NULL here; in a row to be scored it is an error
SELECT gives('a IS NULL') AS absent;
-- times are read as ISO 8601, and by nothing else
SELECT gives('t::timestamp', '{"t": "2024-02-30"}') AS no_day, gives('t::timestamp', '{"t": "now"}') AS no_word,
       gives('t::timestamptz', '{"t": "2024-01-01T12:00:00+02:00"}') AS shifted, gives('t::timestamp', '{"t": "2024-01-01T12:00:00+02:00"}') AS offset_without_zone,
       gives('extract(year FROM t::timestamp)', '{"t": "infinity"}') AS year_of_infinity, gives('extract(hour FROM t::timestamp)', '{"t": "infinity"}') AS hour_of_infinity;
-- a date is midnight; adding what leads out of the calendar has no value
SELECT gives($$d::date + interval '12 hours'$$, '{"d": "2024-03-01T18:30:00"}') AS noon, gives($$d + interval '90000000 days' + interval '90000000 days'$$, '{"d": "2024-03-01"}') AS too_far;
-- an expression that SQL would not calculate is not calculated: no error is counted
SELECT gives('a <> 0 AND 1 / a > 2', '{"a": 0}') AS guarded, gives('CASE WHEN a = 0 THEN 0 ELSE 1 / a END', '{"a": 0}') AS chosen,
       gives('coalesce(a, 1 / a)', '{"a": 0}') AS first, gives('1 / a > 2 OR true', '{"a": 0}') AS reached;

-- a pattern with many % takes time in proportion to the lengths, not to their powers
SET statement_timeout = '5s';
SELECT value AS matches FROM mlops.rule_value($$t LIKE '%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%b'$$, types(), jsonb_build_object('t', repeat('a', 20000)));
RESET statement_timeout;

SET client_min_messages = warning;
DROP SCHEMA rule_language CASCADE;
