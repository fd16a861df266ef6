-- Drift: do the rows that come now look like those that a model was trained on?

CREATE FUNCTION mlops_drift(model text, source text DEFAULT NULL, reference text DEFAULT NULL,
       period interval DEFAULT '7 days', min_effect float8 DEFAULT 0.1, min_impact float8 DEFAULT 0.01,
       min_rows integer DEFAULT 100, as_of timestamptz DEFAULT pg_catalog.now(),
       OUT role text, OUT feature text, OUT kind text, OUT n bigint, OUT n_reference bigint,
       OUT missing float8, OUT missing_reference float8, OUT unseen float8, OUT mean float8, OUT mean_reference float8,
       OUT psi float8, OUT ks float8, OUT tvd float8, OUT wasserstein float8, OUT js float8,
       OUT chi_square float8, OUT df integer, OUT p_value float8, OUT p_adjusted float8,
       OUT importance float8, OUT impact float8, OUT verdict text, OUT matters boolean, OUT reason text)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE COST 1000 ROWS 20;
COMMENT ON FUNCTION mlops_drift(text, text, text, interval, float8, float8, integer, timestamptz) IS
'compares a table or query (NULL: the log of a period) with the rows that a version was trained on, or with a reference query, column by column';
