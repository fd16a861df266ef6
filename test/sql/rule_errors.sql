-- What is not part of the language of rules is refused when the rule is made,
-- with its place in the condition. Nothing of it is looked up or executed.
\set VERBOSITY default
CREATE FUNCTION pg_temp.try(expression text) RETURNS text LANGUAGE sql AS $$
    SELECT value FROM mlops.rule_value(expression, '{"tenure": "int", "plan": "text", "signup": "timestamp", "active": "boolean"}', '{}') $$;

-- a query, in whatever dress
SELECT pg_temp.try('tenure > (SELECT 1)');
SELECT pg_temp.try('EXISTS (SELECT 1 FROM pg_authid)');
SELECT pg_temp.try('tenure IN (SELECT 1)');
SELECT pg_temp.try('tenure = ANY (ARRAY[1, 2])');
-- injected SQL
SELECT pg_temp.try('true) FROM pg_authid WHERE (true');
SELECT pg_temp.try('true); DROP TABLE x; SELECT (true');
SELECT pg_temp.try('true), (SELECT passwd FROM pg_shadow LIMIT 1');
SELECT pg_temp.try('true) AS x, (true');
SELECT pg_temp.try('tenure < 2) OR (true');
SELECT pg_temp.try('true -- a comment is fine');
SELECT pg_temp.try('true) -- not this one');
-- functions: the listed ones, which are not those of any catalog
SELECT pg_temp.try('random() > 0.5');
SELECT pg_temp.try('pg_read_file(''/etc/passwd'') = ''''');
SELECT pg_temp.try('nextval(''s'') > 1');
SELECT pg_temp.try('public.lower(plan) = ''a''');
SELECT pg_temp.try('leng(plan) > 1');
SELECT pg_temp.try('left(plan)');
SELECT pg_temp.try('abs(plan)');
SELECT pg_temp.try('count(*) > 1');
SELECT pg_temp.try('abs(tenure) OVER () > 1');
SELECT pg_temp.try('current_user = plan');
SELECT pg_temp.try('extract(timezone FROM signup)');
-- names
SELECT pg_temp.try('tenur > 1');
SELECT pg_temp.try('customers.tenure > 1');
SELECT pg_temp.try('label = ''x''');
SELECT pg_temp.try('$1 > 1');
-- types
SELECT pg_temp.try('plan > 1');
SELECT pg_temp.try('tenure AND active');
SELECT pg_temp.try('tenure > ''many''');
SELECT pg_temp.try('signup > ''29.2.2024''');
SELECT pg_temp.try('CASE WHEN active THEN 1 ELSE plan END');
SELECT pg_temp.try('plan::inet');
SELECT pg_temp.try('tenure::numeric(10, 2)');
SELECT pg_temp.try('active::float8');
SELECT pg_temp.try('''1.5''::int');
SELECT pg_temp.try('signup - signup');
SELECT pg_temp.try('signup + interval ''1 month''');
SELECT pg_temp.try('1e999 > tenure');
SELECT pg_temp.try('b''101'' = plan');
-- operators, collations, escapes
SELECT pg_temp.try('plan ~ ''^a''');
SELECT pg_temp.try('tenure OPERATOR(public.=) 1');
SELECT pg_temp.try('plan COLLATE "C" < ''a''');
SELECT pg_temp.try('plan LIKE ''a!%'' ESCAPE ''!''');
SELECT pg_temp.try('plan SIMILAR TO ''a''');
-- the place is one in characters, after what comes before it
SELECT pg_temp.try('plan = ''äöü'' AND tenur > 1');
SELECT pg_temp.try('tenure >');
SELECT pg_temp.try('');
-- how a string is read does not depend on the session
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SELECT pg_temp.try(E'plan IS NULL AND length(''a\\nb'') = 4');
RESET standard_conforming_strings;
RESET escape_string_warning;

-- limits, from both sides
SELECT pg_temp.try(repeat('(1 + ', 63) || '1' || repeat(')', 63));
\set VERBOSITY terse
SELECT pg_temp.try(repeat('(1 + ', 64) || '1' || repeat(')', 64));
SELECT pg_temp.try(repeat('NOT ', 199) || 'active') IS NULL AS deep;
SELECT pg_temp.try(repeat('NOT ', 200) || 'active');
SELECT length(pg_temp.try('''' || repeat('x', 8190) || ''''));
SELECT pg_temp.try('''' || repeat('x', 8191) || '''');
