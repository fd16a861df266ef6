-- What columns would become, before any fitting: mlops_profile.

CREATE FUNCTION mlops_profile(
    source text, target text DEFAULT NULL,
    OUT column_name text, OUT type text, OUT becomes text, OUT rows bigint, OUT nulls bigint,
    OUT distinct_values bigint, OUT minimum text, OUT maximum text, OUT mean float8, OUT warnings text[])
    RETURNS SETOF record
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_profile(text, text)
    IS 'what training would make of each column of a table or query, with warnings; reads it as the caller';
