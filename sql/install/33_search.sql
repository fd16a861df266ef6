-- Searching: many candidates, weak ones dropped early, the best one trained.

CREATE PROCEDURE mlops_search(model text, space jsonb DEFAULT NULL, metric text DEFAULT NULL, budget jsonb DEFAULT '{}',
                              source text DEFAULT NULL, target text DEFAULT NULL, features text[] DEFAULT NULL,
                              exclude text[] DEFAULT NULL, key text DEFAULT NULL, time_column text DEFAULT NULL,
                              weight text DEFAULT NULL, holdout float8 DEFAULT 0.2, seed bigint DEFAULT 42,
                              options jsonb DEFAULT '{}', note text DEFAULT NULL,
                              INOUT version integer DEFAULT NULL, INOUT search uuid DEFAULT NULL)
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON PROCEDURE mlops_search(text, jsonb, text, jsonb, text, text, text[], text[], text, text, text, float8, bigint, jsonb, text, integer, uuid)
    IS 'tries algorithms, parameters and features by cross-validation on growing samples, and trains a version of the best; search => goes on with one that was interrupted';
