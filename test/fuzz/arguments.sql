-- Calls every public function with values that each of its arguments cannot have, or hardly can: NULL, nothing, the
-- ends of a type, infinities, text that is no SQL, JSON of other shapes, arrays of a hundred thousand elements:
--     psql -v which=. -f test/fuzz/arguments.sql
-- from the top of the source, as a superuser, in a database with the extension; which: a pattern of function names.
-- An error of the server's insides (XX000), a call of more than a second, and an error without a hint that is not
-- about SQL or JSON of the caller's own are listed; the first two fail.

\set ON_ERROR_STOP on
\set QUIET on
CREATE SCHEMA af;
SET search_path = af;
SET client_min_messages = error;
CREATE TABLE customer AS SELECT i AS id, (i * 7 % 60)::float8 AS tenure, (i * 13 % 90)::float8 AS charges, 'plan' || i % 3 AS plan,
   timestamptz '2026-01-01' + i * interval '1 hour' AS at, (i * 7 % 60 + i * 31 % 17) > 35 AS churned, (i*7%60)*2.0+ i % 5 AS spend FROM generate_series(1, 400) AS i;
SELECT mlops_train_now('m', 'customer', 'churned', features => '{tenure,charges,plan}', key => 'id', time_column => 'at', options => '{"keep_rows": true}');
SELECT mlops_train_now('m', 'customer', 'churned', features => '{tenure,charges}', key => 'id');
SELECT mlops_train_now('r', 'customer', 'spend', features => '{tenure,charges,plan}', key => 'id');
SELECT mlops_train_now('k', 'customer', NULL, 'kmeans', features => '{tenure,charges}');
SELECT mlops_create_rules('m', '[{"name": "a", "when": "tenure > 50", "then": {"set": 0.1}}]');
SELECT mlops_promote('m', 1); SELECT mlops_promote('m', 2); SELECT mlops_promote('r', 1);
SELECT mlops_shadow('m', 1, 's');
SELECT mlops_set_alias('m', 'old', 1);
SELECT mlops_create_validation_set('m', 'v', 'customer', key => 'id', time_column => 'at', slices => '{plan}', lateness => '0', period => '400 days');
SELECT mlops_refresh_validation_set('m', 'v');
SELECT mlops_create_slice('m', 'v', 'short', 'tenure < 6');
SELECT mlops_pin('m', 'v', '7');
SELECT mlops_set_gate('m', 'g', metric => 'roc_auc', minimum => 0.4, validation_set => 'v');
SELECT mlops_set_monitor('m', 'mo', 'drift', 0.2);
SELECT mlops_record_outcome('m', '7', 'true');
SELECT mlops_set_outcomes('m', 'SELECT id AS key, churned AS outcome, at FROM customer');
SELECT mlops_set_retraining('m', every => '7 days');
SELECT count(*) FROM mlops_score('m', 'customer', 'id');
CREATE TABLE good (fn text, arg text, expr text, PRIMARY KEY (fn, arg));
INSERT INTO good VALUES ('*', 'model', $$'m'$$), ('*', 'version', '1'), ('*', 'validation_set', $$'v'$$), ('*', 'source', $$'customer'$$), ('*', 'key', $$'7'$$),
 ('*', 'name', $$'x'$$), ('*', 'alert', '1'), ('*', 'is_real', 'true'), ('*', 'input', $$'{"tenure": 3, "charges": 4, "plan": "plan1"}'$$), ('*', 'rules', '1'), ('*', 'candidate', '1'), ('*', 'shadow', $$'s'$$),
 ('*', 'aggregate', $$'avg'$$), ('*', 'higher_is_better', 'true'), ('*', 'stages', $$'[{"share": 0.1, "min_time": "1 hour", "min_rows": 10}, {"share": 1}]'$$), ('*', 'condition', $$'tenure < 7'$$),
 ('*', 'edition', '1'), ('*', 'role', $$'postgres'$$), ('*', 'privilege', $$'read'$$), ('*', 'document', $$'{"(intercept)": 1, "a": 2}'$$), ('*', 'until', 'now()'), ('*', 'at', 'now()'),
 ('*', 'outcome', $$'true'$$), ('*', 'label', $$'true'$$), ('*', 'alias', $$'a'$$), ('*', 'settings', $$'{}'$$), ('*', 'what', $$'drift'$$), ('*', 'bound', '0.2'), ('*', 'spec', $$'{"source": "customer", "target": "churned"}'$$),
 ('mlops_record_label', 'label', $$'true'$$), ('mlops_drop_gate', 'name', $$'g'$$), ('mlops_drop_monitor', 'name', $$'mo'$$), ('mlops_drop_slice', 'name', $$'short'$$), ('mlops_import', 'model', $$'new'$$), 
 ('mlops_create_model', 'model', $$'new'$$), ('mlops_edition', 'row_type', 'NULL::af.customer'), ('mlops_explain', 'key', 'NULL'), ('mlops_create_rules', 'rules', $$'[{"name": "a", "when": "tenure > 50", "then": {"set": 0.1}}]'$$),
 ('mlops_train_now', 'target', $$'churned'$$), ('mlops_train', 'target', $$'churned'$$), ('mlops_search', 'target', $$'churned'$$), ('mlops_search', 'source', $$'customer'$$),('mlops_search', 'space', $$'{"algorithm": ["logistic_regression"]}'$$), ('mlops_set_gate', 'metric', $$'roc_auc'$$), ('mlops_set_gate', 'minimum', $$0.5$$),
 ('mlops_set_retraining', 'every', $$'7 days'$$), ('mlops_set_outcomes', 'source', $$'SELECT id AS key, churned AS outcome, at FROM customer'$$),
 ('mlops_create_validation_set', 'key', $$'id'$$), ('mlops_create_validation_set', 'time_column', $$'at'$$), ('mlops_create_validation_set', 'target', 'NULL'), ('mlops_flush_log', 'timeout', $$'0.1 s'$$), ('mlops_flush_statistics', 'timeout', $$'0.1 s'$$), ('*', 'algorithm', 'NULL'),
 ('mlops_score','key', $$'id'$$), ('mlops_permutation_importance', 'target', $$'churned'$$), ('mlops_unpin', 'key', $$'7'$$), ('mlops_pin', 'key', $$'9'$$), ('mlops_trees', 'model', $$'m'$$);
INSERT INTO good SELECT DISTINCT proname, 'key', 'NULL' FROM pg_proc WHERE proname ~ '^mlops_(train|train_now|search|reproduce)$' ;
CREATE TABLE bad (type text, expr text);
INSERT INTO bad VALUES
 ('text', 'NULL'), ('text', $$''$$), ('text', $$' '$$), ('text', $$'nothing'$$), ('text', $$repeat('x', 300)$$), ('text', $$repeat('ab ', 1000000)$$), ('text', $$'a"b''c;--'$$), ('text', $$E'a\nb'$$), ('text', $$'m/99'$$), ('text', $$'m@nowhere'$$), ('text', $$'m/0'$$), ('text', $$'m/-1'$$), ('text', $$'m/99999999999999'$$), ('text', $$'SELECT 1/0'$$), ('text', $$'SELECT'$$), ('text', $$'('$$), ('text', $$'NaN'$$), ('text', $$'é'$$), ('text', $$'pg_class'$$), ('text', $$'{}'$$), ('text', $$'k'$$), ('text', $$'r'$$), ('text', $$'m/1'$$), ('text', $$'SELECT 1'$$), ('text', $$'SELECT * FROM customer WHERE false'$$), ('text', $$'SELECT 1; SELECT 2'$$), ('text', $$'SELECT $1'$$), ('text', $$'INSERT INTO customer(id) VALUES (1) RETURNING *'$$), ('text', $$repeat('(', 20000)$$), ('text', $$'SELECT * FROM customer FOR UPDATE'$$),
 ('text', $$'tenure'$$), ('text', $$'plan'$$), ('text', $$'at'$$), ('text', $$'churned'$$), ('text', $$'accuracy'$$), ('text', $$'rmse'$$), ('text', $$'SELECT id, tenure, charges, plan, ''infinity''::timestamptz AS at, churned FROM customer'$$), ('text', $$'SELECT id, ''NaN''::float8 AS tenure, ''infinity''::float8 AS charges, plan, at, churned FROM customer'$$),
 ('integer', 'NULL'), ('integer', '0'), ('integer', '-1'), ('integer', '99'), ('integer', '2147483647'), ('integer', '-2147483648'), ('integer', '2'),
 ('bigint', 'NULL'), ('bigint', '0'), ('bigint', '-1'), ('bigint', '9223372036854775807'), ('bigint', '-9223372036854775808'),
 ('double precision', 'NULL'), ('double precision', $$'NaN'$$), ('double precision', $$'Infinity'$$), ('double precision', $$'-Infinity'$$), ('double precision', '0'), ('double precision', '-1'), ('double precision', '2'), ('double precision', '1e308'), ('double precision', '1e-320'),
 ('boolean', 'NULL'), ('boolean', 'true'), ('boolean', 'false'),
 ('interval', 'NULL'), ('interval', $$'0'$$), ('interval', $$'-1 day'$$), ('interval', $$'178000000 years'$$), ('interval', $$'-178000000 years'$$), ('interval', $$'1 microsecond'$$), ('interval', $$'1 month -40 days'$$), ('interval', $$'2147483647 days'$$), ('interval', $$'2147483647 months 2147483647 days'$$), ('interval', $$'1 mon'$$),
 ('timestamp with time zone', 'NULL'), ('timestamp with time zone', $$'infinity'$$), ('timestamp with time zone', $$'-infinity'$$), ('timestamp with time zone', $$'4713-01-02 BC'$$), ('timestamp with time zone', $$'294276-12-31'$$), ('timestamp with time zone', $$'epoch'$$),('timestamp with time zone', $$'2100-01-01'$$),
 ('text[]', 'NULL'), ('text[]', $$'{}'$$), ('text[]', $$'{NULL}'$$), ('text[]', $$'{""}'$$), ('text[]', $$'{{a,b},{c,d}}'$$), ('text[]', $$array_fill('tenure'::text, '{100000}')$$), ('text[]', $$(SELECT array_agg('c'||i) FROM generate_series(1,100000) i)$$), ('text[]', $$'{tenure,tenure}'$$), ('text[]', $$'{nothing}'$$), ('text[]', $$'{"plan, tenure"}'$$), ('text[]', $$'{"tenure <"}'$$), ('text[]', $$'{"1/0 = 1"}'$$), ('text[]', $$'{"plan = 3"}'$$), ('text[]', $$'[5:6]={plan,tenure}'$$), ('text[]', $$ARRAY[repeat('(', 20000)]$$), ('text[]', $$'{roc_auc,accuracy,roc_auc}'$$), ('text[]', $$'{rmse}'$$), ('text[]', $$'{id}'$$), ('text[]', $$'{churned}'$$),
 ('double precision[]', 'NULL'), ('double precision[]', $$'{}'$$), ('double precision[]', $$'{NULL,NULL}'$$), ('double precision[]', $$'{NaN,1}'$$), ('double precision[]', $$'{1,2,3,4,5}'$$), ('double precision[]', $$'{{1,2},{3,4}}'$$), ('double precision[]', $$array_fill(1::float8, '{1000000}')$$), ('double precision[]', $$'{Infinity,1}'$$), ('double precision[]', $$'[3:4]={1,2}'$$),
 ('jsonb', 'NULL'), ('jsonb', $$'{}'$$), ('jsonb', $$'[]'$$), ('jsonb', $$'null'$$), ('jsonb', $$'"x"'$$), ('jsonb', $$'1'$$), ('jsonb', $$'[null]'$$), ('jsonb', $$'[1]'$$), ('jsonb', $$'[[]]'$$), ('jsonb', $$'[{}]'$$), ('jsonb', $$'{"x": 1}'$$), ('jsonb', $$'{"": null}'$$), ('jsonb', $$'{"tenure": {"a": 1}}'$$), ('jsonb', $$'{"tenure": 1e400}'$$), ('jsonb', $$'{"l2": 1e400}'$$), ('jsonb', $$'{"l2": "NaN"}'$$), ('jsonb', $$'{"l2": -1}'$$), ('jsonb', $$'{"tenure": "NaN"}'$$),
 ('jsonb', $$(repeat('[', 5000) || repeat(']', 5000))::jsonb$$), ('jsonb', $$'[{"share": 0.1, "min_time": "nonsense"}, {"share": 1}]'$$), ('jsonb', $$'[{"share": 0.1, "min_time": "-1 day"}, {"share": 1}]'$$), ('jsonb', $$'[{"share": 0.1, "min_time": "178000000 years"}, {"share": 1}]'$$), ('jsonb', $$'[{"share": 0.1, "min_time": ""}, {"share": 1}]'$$), ('jsonb', $$'[{"share": 0.1, "min_time": 3}, {"share": 1}]'$$), ('jsonb', $$'[{"share": 1e400}]'$$), ('jsonb', $$'[{"share": "a"}]'$$), ('jsonb', $$'[{"share": 0.1, "min_rows": 1e30}, {"share": 1}]'$$), ('jsonb', $$(SELECT jsonb_agg(jsonb_build_object('share', i / 20000.0)) FROM generate_series(1,20000) i)$$),
 ('jsonb', $$'{"fp": 1e400, "fn": 1}'$$), ('jsonb', $$'{"false_positive": -1}'$$), ('jsonb', $$'{"trials": 1e400}'$$), ('jsonb', $$'{"trials": -1}'$$), ('jsonb', $$'{"trials": 0}'$$), ('jsonb', $$'{"seconds": -1}'$$), ('jsonb', $$'{"seconds": 1e400}'$$), ('jsonb', $$'{"keep_rows": 7}'$$), ('jsonb', $$'{"refit": null}'$$),
 ('uuid', 'NULL'), ('uuid', $$'00000000-0000-0000-0000-000000000000'$$),
 ('record', 'NULL'), ('record', 'ROW()'), ('record', 'ROW(1,2)'), ('record', $$ROW('x'::text, NULL)$$), ('record', $$(SELECT c FROM af.customer c LIMIT 1)$$), ('record', $$(SELECT x FROM (SELECT 'a'::text AS tenure, point(1,2) AS charges, 3 AS plan) x)$$), ('record', $$(SELECT x FROM (SELECT 'infinity'::timestamptz AS tenure, 'NaN'::numeric AS charges, 3 AS plan) x)$$), ('record', $$(SELECT x FROM (SELECT 1e999::numeric AS tenure, 'NaN'::numeric AS charges, 'a' AS plan) x)$$),
 ('anyelement', '1'), ('anyelement', 'NULL::text'), ('anyelement', 'NULL::pg_class'), ('anyelement', $$'{}'::int[]$$),
 ('mlops.bundle', 'NULL'), ('mlops.bundle', $$mlops_bundle('m')$$), ('mlops.bundle', $$mlops_bundle('k')$$);
INSERT INTO bad SELECT 'json', expr || '::json' FROM bad WHERE type = 'jsonb' AND expr NOT LIKE '(%';
INSERT INTO bad SELECT 'mlops.state', e FROM unnest(ARRAY['NULL', $$mlops_nothing$$]) e WHERE false;
CREATE TABLE outcome (fn text, arg text, expr text, call text, ms float8, state text, message text, detail text, hint text, context text);
CREATE OR REPLACE PROCEDURE one(p_fn text, p_arg text, p_expr text, p_call text) LANGUAGE plpgsql AS $$
DECLARE s text; m text; d text; h text; c text; t timestamptz := clock_timestamp();
BEGIN
  BEGIN
    EXECUTE p_call;
    RAISE EXCEPTION 'fine' USING ERRCODE = 'ZZ000';
  EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS s = RETURNED_SQLSTATE, m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT, c = PG_EXCEPTION_CONTEXT;
  END;
  INSERT INTO outcome VALUES (p_fn, p_arg, p_expr, p_call, extract(epoch FROM clock_timestamp() - t) * 1000, s, left(m, 500), left(d, 500), left(h, 500), left(c, 600));
END $$;
CREATE OR REPLACE PROCEDURE many(which text) LANGUAGE plpgsql AS $$
DECLARE f record; a record; b record; call text; k int := 0;
BEGIN
  FOR f IN SELECT p.oid, proname, prokind, pronargs, pronargdefaults, proargtypes, proargnames, proargmodes, prorettype, proallargtypes,
     (SELECT array_agg(n ORDER BY i) FROM unnest(proargnames, coalesce(proargmodes, array_fill('i'::"char", ARRAY[pronargs::int]))) WITH ORDINALITY AS u(n, m, i) WHERE m IN ('i', 'b', 'v')) AS names
     FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e' JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'mlops'
     WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ which AND prokind IN ('f', 'p') AND pronargs > 0 ORDER BY proname, p.oid LOOP
    FOR a IN SELECT n, i, format_type(f.proargtypes[i-1], NULL) AS type FROM unnest(f.names) WITH ORDINALITY u(n, i) LOOP
      FOR b IN SELECT expr FROM bad WHERE bad.type = a.type AND NOT (f.prokind = 'p' AND expr LIKE '(SELECT%') LOOP
        SELECT format(CASE WHEN f.prokind = 'p' THEN 'CALL %I(%s)' ELSE 'SELECT * FROM %I(%s) AS r' || CASE WHEN f.prorettype = 'record'::regtype AND f.proallargtypes IS NULL THEN '(x text)' ELSE '' END END, f.proname, string_agg(format('%I => (%s)%s', n, v, CASE WHEN v = 'NULL' OR t IN ('json','uuid','bigint','jsonb','text','double precision','double precision[]','integer','text[]') THEN '::' || t ELSE '' END), ', '))
          INTO call FROM (SELECT n, format_type(f.proargtypes[i-1], NULL) AS t, CASE WHEN n = a.n THEN b.expr
               ELSE coalesce((SELECT expr FROM good WHERE fn = f.proname AND arg = n),
                 CASE WHEN i <= f.pronargs - f.pronargdefaults THEN CASE format_type(f.proargtypes[i-1], NULL) WHEN 'double precision[]' THEN $q$'{1,2}'$q$ WHEN 'record' THEN '(SELECT c FROM af.customer c LIMIT 1)' WHEN 'mlops.bundle' THEN $q$mlops_bundle('m')$q$ WHEN 'uuid' THEN $q$'00000000-0000-0000-0000-000000000000'$q$
                   ELSE coalesce(CASE WHEN n = 'input' AND format_type(f.proargtypes[i-1], NULL) LIKE 'json%' THEN $q$'{"tenure":1,"charges":2}'$q$ WHEN n = 'rules' AND format_type(f.proargtypes[i-1], NULL) IN ('text', 'jsonb') THEN $q$'[{"name": "a", "when": "tenure > 50", "then": {"set": 0.1}}]'$q$ END, (SELECT expr FROM good WHERE fn = '*' AND arg = n), 'NULL') END END) END AS v, i
             FROM unnest(f.names) WITH ORDINALITY u(n, i)) q WHERE v IS NOT NULL;
        CALL one(f.proname, a.n, b.expr, call);
        COMMIT;
      END LOOP;
    END LOOP;
  END LOOP;
END $$;

CALL many(:'which');
SELECT fn, arg, left(expr, 60) AS value, round(ms) AS ms, state, left(message, 80) AS message FROM outcome WHERE state = 'XX000' OR ms > 1000 ORDER BY 1, 2, 3;
-- 42601 and the like: SQL of the caller's own, in sources and conditions
SELECT state, fn, arg, left(min(expr), 60) AS value, left(min(message), 80) AS message FROM outcome
 WHERE hint = '' AND state NOT IN ('ZZ000', '42601', '42P01', '42P02', '42703', '22012') GROUP BY state, fn, arg ORDER BY fn, arg;
SELECT state, count(*) FROM outcome GROUP BY state ORDER BY state;
DO $$ BEGIN
    IF EXISTS (SELECT FROM outcome WHERE state = 'XX000' OR (ms > 1000 AND fn NOT IN ('mlops_search', 'mlops_pin_failures'))) THEN
        RAISE EXCEPTION 'there are calls that end inside, or take long';
    END IF;
END $$;
SELECT count(mlops_drop_model(m.model, force => true)) AS models FROM mlops.model AS m WHERE m.model IN ('m', 'r', 'k');
DROP SCHEMA af CASCADE;
