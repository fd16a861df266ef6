-- Deciding: promote, roll back, alias.

CREATE TYPE mlops.deployed AS (
    model               text,
    version             integer,
    threshold           float8,
    rules               integer,
    share               float8,
    deployment          integer,
    previous_version    integer,
    deployed_at         timestamptz
);
COMMENT ON TYPE mlops.deployed IS 'the bundle that serves after a promotion or a rollback; share below 1: the canary, beside previous_version';

CREATE FUNCTION mlops_promote(model text, version integer, share float8 DEFAULT 1,
       rules integer DEFAULT NULL, threshold float8 DEFAULT NULL, expect integer DEFAULT NULL,
       force boolean DEFAULT false, reason text DEFAULT NULL)
RETURNS mlops.deployed
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_promote(text, integer, float8, integer, float8, integer, boolean, text) IS
'makes a version the active one at commit, or, with a share below 1, the canary that serves that share of the rows; expect: only if that version is active now';

CREATE FUNCTION mlops_rollback(model text, steps integer DEFAULT 1, reason text DEFAULT NULL)
RETURNS mlops.deployed
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_rollback(text, integer, text) IS
'ends the canary if one runs, else makes the bundle that served before the active one, or one further back';

CREATE FUNCTION mlops_set_alias(model text, alias text, version integer) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_set_alias(text, text, integer) IS
'gives a version a name, to be used as model@alias; NULL removes the name';
