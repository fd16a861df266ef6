-- What is done by the clock.

CREATE PROCEDURE mlops_tick(as_of timestamptz DEFAULT pg_catalog.now())
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON PROCEDURE mlops_tick(timestamptz) IS
'refreshes the validation sets that are due and evaluates what is in use on them, pulls outcomes, moves rollouts on, judges monitors, trains models again by their policies, drops old days of the log and old statistics; to be called by a scheduler';
