-- Training: a query becomes a version.
--
-- Procedures and C functions carry no SET clause: it would silently make CALL
-- atomic, and then a fit would hold a snapshot.

CREATE FUNCTION mlops_algorithms(OUT algorithm text, OUT tasks text[], OUT summary text,
                                 OUT probability boolean, OUT inference boolean)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mlops_algorithms() IS 'the algorithms that mlops_train knows';

CREATE FUNCTION mlops_params(algorithm text DEFAULT NULL, OUT algorithm text, OUT parameter text,
                             OUT type text, OUT default_value text, OUT minimum float8, OUT maximum float8,
                             OUT choices text[], OUT explanation text)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE CALLED ON NULL INPUT PARALLEL SAFE;
COMMENT ON FUNCTION mlops_params(text) IS 'the parameters of an algorithm, with ranges, defaults and explanations';

CREATE PROCEDURE mlops_train(model text, source text, target text DEFAULT NULL, algorithm text DEFAULT NULL,
                             params jsonb DEFAULT '{}', features text[] DEFAULT NULL, exclude text[] DEFAULT NULL,
                             key text DEFAULT NULL, time_column text DEFAULT NULL, weight text DEFAULT NULL,
                             holdout float8 DEFAULT 0.2, seed bigint DEFAULT 42, options jsonb DEFAULT '{}',
                             note text DEFAULT NULL, group_by text DEFAULT NULL, INOUT version integer DEFAULT NULL)
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON PROCEDURE mlops_train(text, text, text, text, jsonb, text[], text[], text, text, text, float8, bigint, jsonb, text, text, integer)
    IS 'trains a new version of a model from a table or query; holds no snapshot and no lock while it fits';

CREATE FUNCTION mlops_train_now(model text, source text, target text DEFAULT NULL, algorithm text DEFAULT NULL,
                                params jsonb DEFAULT '{}', features text[] DEFAULT NULL, exclude text[] DEFAULT NULL,
                                key text DEFAULT NULL, time_column text DEFAULT NULL, weight text DEFAULT NULL,
                                holdout float8 DEFAULT 0.2, seed bigint DEFAULT 42, options jsonb DEFAULT '{}',
                                note text DEFAULT NULL, group_by text DEFAULT NULL)
    RETURNS integer
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_train_now(text, text, text, text, jsonb, text[], text[], text, text, text, float8, bigint, jsonb, text, text)
    IS 'trains a new version within the transaction of the caller; returns its number';

CREATE PROCEDURE mlops_train_spec(model text, spec jsonb, note text DEFAULT NULL, INOUT version integer DEFAULT NULL)
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON PROCEDURE mlops_train_spec(text, jsonb, text, integer)
    IS 'trains a new version as one JSON document says, under the settings that it names';

CREATE PROCEDURE mlops_retrain(model text, changes jsonb DEFAULT '{}', note text DEFAULT NULL, INOUT version integer DEFAULT NULL)
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON PROCEDURE mlops_retrain(text, jsonb, text, integer)
    IS 'trains a new version from the spec of the active or a named one, changed, on the data of today';

CREATE PROCEDURE mlops_reproduce(model text, INOUT same_bytes boolean DEFAULT NULL, INOUT explanation text DEFAULT NULL)
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON PROCEDURE mlops_reproduce(text, boolean, text)
    IS 'trains a version again without registering it: are the bytes the same, and if not, why';

CREATE FUNCTION mlops_rows(model text)
    RETURNS SETOF jsonb
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_rows(text) IS 'the rows that a version kept, in the order they were read';
