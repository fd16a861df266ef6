-- Passes of a fit as aggregates: states that are values, made anywhere and
-- merged anywhere.
--
-- Argument types are concrete, states have text and binary form, everything can
-- be merged: what distributed plans ask of an aggregate. Support functions are
-- executable by everybody, since they run as the caller.

CREATE TYPE mlops.state;

CREATE FUNCTION mlops.state_in(cstring) RETURNS mlops.state
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'mlops_state_in';
COMMENT ON FUNCTION mlops.state_in(cstring) IS 'a state from its text';

CREATE FUNCTION mlops.state_out(mlops.state) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'mlops_state_out';
COMMENT ON FUNCTION mlops.state_out(mlops.state) IS 'a state as text: its bytes in hexadecimal digits';

CREATE FUNCTION mlops.state_recv(internal) RETURNS mlops.state
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'mlops_state_recv';
COMMENT ON FUNCTION mlops.state_recv(internal) IS 'a state from its bytes';

CREATE FUNCTION mlops.state_send(mlops.state) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'mlops_state_send';
COMMENT ON FUNCTION mlops.state_send(mlops.state) IS 'the bytes of a state';

CREATE TYPE mlops.state (
    INPUT = mlops.state_in, OUTPUT = mlops.state_out,
    RECEIVE = mlops.state_recv, SEND = mlops.state_send,
    INTERNALLENGTH = VARIABLE, ALIGNMENT = double, STORAGE = extended
);
COMMENT ON TYPE mlops.state IS 'what rows add up to in a pass of a fit; see docs/distribution.md';

CREATE FUNCTION mlops.pass(algorithm text, params jsonb DEFAULT '{}', classes integer DEFAULT NULL, seed bigint DEFAULT 42)
    RETURNS mlops.state
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'mlops_pass';
COMMENT ON FUNCTION mlops.pass(text, jsonb, integer, bigint) IS 'the beginning of the first pass of a fit: a state without rows';

CREATE FUNCTION mlops.merge(state mlops.state, other mlops.state) RETURNS mlops.state
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'mlops_state_merge';
COMMENT ON FUNCTION mlops.merge(mlops.state, mlops.state) IS 'the state of the rows of both';

CREATE FUNCTION mlops.final(state mlops.state) RETURNS jsonb
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 1000
    AS 'MODULE_PATHNAME', 'mlops_state_final';
COMMENT ON FUNCTION mlops.final(mlops.state) IS 'what the fit says after this pass';

CREATE FUNCTION mlops.next(state mlops.state) RETURNS mlops.state
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 1000
    AS 'MODULE_PATHNAME', 'mlops_state_next';
COMMENT ON FUNCTION mlops.next(mlops.state) IS 'the beginning of the next pass; NULL: the fit is done';

CREATE AGGREGATE mlops.merge(mlops.state) (
    SFUNC = mlops.merge, STYPE = mlops.state, COMBINEFUNC = mlops.merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE mlops.merge(mlops.state) IS 'the state of the rows of all';

-- For each algorithm X: X_state(...) gives the state and X(...) what it says. Rows
-- with a NULL or NaN, or of weight 0, do not count; naive_bayes takes NULL and NaN
-- in x as values that are missing.
DO $$
DECLARE
    f record;
    arguments text;
BEGIN
    FOR f IN
        SELECT a.name, a.target, v.more
          FROM (VALUES ('linear_regression', true), ('logistic_regression', true),
                       ('glm', true), ('naive_bayes', true), ('kmeans', false), ('pca', false)) AS a (name, target),
               (VALUES (''), (', float8, mlops.state')) AS v (more)
    LOOP
        arguments := CASE WHEN f.target THEN 'float8, ' ELSE '' END OPERATOR(pg_catalog.||) 'float8[]' OPERATOR(pg_catalog.||) f.more;
        EXECUTE pg_catalog.format(
            'CREATE FUNCTION mlops.%1$s_accum(mlops.state, %2$s) RETURNS mlops.state '
            'LANGUAGE c IMMUTABLE PARALLEL SAFE AS %3$L, %4$L',
            f.name, arguments, 'MODULE_PATHNAME', 'mlops_' || f.name || '_accum');
        EXECUTE pg_catalog.format(
            'COMMENT ON FUNCTION mlops.%s_accum(mlops.state, %s) IS %L', f.name, arguments,
            'adds a row to a state; of the aggregates ' || f.name || ' and ' || f.name || '_state');
        EXECUTE pg_catalog.format(
            'CREATE AGGREGATE mlops.%1$s_state(%2$s) (SFUNC = mlops.%1$s_accum, STYPE = mlops.state, '
            'COMBINEFUNC = mlops.merge, PARALLEL = SAFE)', f.name, arguments);
        EXECUTE pg_catalog.format(
            'COMMENT ON AGGREGATE mlops.%s_state(%s) IS %L', f.name, arguments, 'the state of a pass of ' || f.name);
        EXECUTE pg_catalog.format(
            'CREATE AGGREGATE mlops.%1$s(%2$s) (SFUNC = mlops.%1$s_accum, STYPE = mlops.state, '
            'COMBINEFUNC = mlops.merge, FINALFUNC = mlops.final, PARALLEL = SAFE)', f.name, arguments);
        EXECUTE pg_catalog.format(
            'COMMENT ON AGGREGATE mlops.%s(%s) IS %L', f.name, arguments, 'what a pass of ' || f.name || ' says');
    END LOOP;
END
$$;
