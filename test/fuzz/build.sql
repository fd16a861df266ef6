-- Artifacts of trees made in SQL, field by field as docs/formats.md lists them,
-- for tests that want to know what is in one: \ir it, then
--     SELECT store('name', 'regression', artifact(1, '{}', trees(...)));
-- The columns are age and income, numbers, and plan, one of basic and pro.

-- the basic types
CREATE FUNCTION u8(n int) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$ SELECT set_byte('\x00', 0, n) $$;
CREATE FUNCTION backwards(bytes bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(substr(bytes, i, 1), '' ORDER BY i DESC) FROM generate_series(1, length(bytes)) AS i $$;
CREATE FUNCTION i32(n int) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$ SELECT backwards(int4send(n)) $$;
CREATE FUNCTION i64(n bigint) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$ SELECT backwards(int8send(n)) $$;
CREATE FUNCTION f64(x float8) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$ SELECT backwards(float8send(x)) $$;
CREATE FUNCTION txt(t text) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$ SELECT i32(octet_length(t)) || convert_to(t, 'UTF8') $$;
CREATE FUNCTION section(tag text, bytes bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT convert_to(tag, 'UTF8') || i64(length(bytes)) || bytes $$;

-- nodes: a leaf; number < threshold goes left; codes whose bit is set go left
CREATE FUNCTION leaf(value float8, cover float8) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT i32(-1) || f64(value) || f64(cover) $$;
CREATE FUNCTION below(number int, threshold float8, missing_left bool, cover float8, gain float8) RETURNS bytea
LANGUAGE sql IMMUTABLE AS $$
    SELECT i32(number) || u8(missing_left::int) || f64(threshold) || f64(cover) || f64(gain) $$;
CREATE FUNCTION among(codes int, cover float8, gain float8) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT i32(2) || i32(codes) || f64(cover) || f64(gain) $$;

-- nodes breadth first: each split is followed, some time, by its two children
CREATE FUNCTION tree(output int, VARIADIC nodes bytea[]) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT i32(output) || i32(cardinality(nodes)) || string_agg(n, '' ORDER BY i) FROM unnest(nodes) WITH ORDINALITY AS u (n, i) $$;
CREATE FUNCTION trees(link int, base float8[], mean bool, single bool, nnodes int, VARIADIC trees bytea[]) RETURNS bytea
LANGUAGE sql IMMUTABLE AS $$
    SELECT u8(2) || u8(link) || i32(cardinality(base)) || u8(mean::int) || u8(single::int) ||
           (SELECT string_agg(f64(b), '' ORDER BY i) FROM unnest(base) WITH ORDINALITY AS u (b, i)) ||
           i32(cardinality(trees)) || i32(nnodes) ||
           (SELECT string_agg(t, '' ORDER BY i) FROM unnest(trees) WITH ORDINALITY AS u (t, i)) $$;

-- task: 1 regression, 2 two classes, 4 several, 16 anomalies
CREATE FUNCTION artifact(task int, classes text[], predictor bytea, impute int DEFAULT 0, calibration bytea DEFAULT '\x00') RETURNS bytea
LANGUAGE sql IMMUTABLE AS $$
    SELECT '\x894d4c4f0d0a1a0a'::bytea || i32(2) || i32(9) || i64(24 + length(s.bytes)) || s.bytes
      FROM (SELECT section('HEAD', txt('trees') || txt('UTF8')) ||
                   section('RCPE', u8(impute) || u8(0) || u8(0) || i64(100) || i64(5) || txt('UTC') || i64(100) || i32(-1) || u8(0)) ||
                   section('FEAT', i32(3) || txt('age') || txt('integer') || u8(1) ||
                                   txt('income') || txt('double precision') || u8(1) ||
                                   txt('plan') || txt('text') || u8(2) || f64(0.1) || f64(0.1) ||
                                   i32(2) || f64(0.5) || txt('basic') || f64(0.3) || txt('pro')) ||
                   section('NUMB', i32(2) || txt('age') || f64(40) || f64(40) || f64(10) || f64(18) || f64(90) || f64(0) ||
                                   txt('income') || f64(3) || f64(3) || f64(1) || f64(0) || f64(9) || f64(0)) ||
                   section('TARG', CASE WHEN task > 4 THEN txt('') || txt('') ELSE txt('y') || txt('text') END ||
                                   u8(task) || i32((task = 2)::int) || i32(cardinality(classes)) ||
                                   (SELECT coalesce(string_agg(f64(0.5) || txt(k), '' ORDER BY i), '')
                                      FROM unnest(classes) WITH ORDINALITY AS c (k, i))) ||
                   section('DSGN', i32(5) || u8(0) || i32(0) || u8(0) || i32(1) ||
                                   u8(2) || i32(2) || i32(1) || u8(2) || i32(2) || i32(2) || u8(2) || i32(2) || i32(3)) ||
                   section('PRED', predictor) || section('CALI', calibration) || section('FACT', i32(0))) AS s (bytes) $$;

-- stores an artifact as version 1 of a model, as a training would
CREATE FUNCTION store(name text, task text, artifact bytea) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM mlops_catalog.model AS m WHERE m.name = 'build_template') THEN
        PERFORM mlops_train_now('build_template', 'SELECT i AS x, i * 2.0 AS y FROM generate_series(1, 20) AS i', 'y',
                                algorithm => 'baseline', holdout => 0);
    END IF;
    INSERT INTO mlops_catalog.model (name, owner) VALUES (store.name, current_user);
    INSERT INTO mlops_catalog.serving (model) VALUES (store.name);
    INSERT INTO mlops_catalog.version
    SELECT (jsonb_populate_record(v, jsonb_build_object(
               'model', store.name, 'version', 1, 'task', store.task, 'algorithm', 'trees', 'target', 'y',
               'artifact_format', 2, 'artifact_size', length(artifact), 'sha256', sha256(artifact)))).*
      FROM mlops_catalog.version AS v WHERE v.model = 'build_template';
    INSERT INTO mlops_catalog.artifact VALUES (store.name, 1, 0, artifact);
END
$$;
