-- Watching what serves: the log of predictions, outcomes, live quality.

CREATE FUNCTION mlops.make_log_partitions(as_of timestamptz DEFAULT pg_catalog.clock_timestamp()) RETURNS boolean
AS 'MODULE_PATHNAME', 'mlops_make_log_partitions' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops.make_log_partitions(timestamptz) IS
'makes the partitions of the log for a day (UTC) and the next, as the log writer does; false if they are there';

CREATE FUNCTION mlops_prune_log(keep_days integer DEFAULT NULL, as_of timestamptz DEFAULT pg_catalog.now()) RETURNS integer
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_prune_log(integer, timestamptz) IS
'drops the days of the log that are older than keep_days (NULL: mlops.log_retention; 0 keeps all); how many';

CREATE FUNCTION mlops_log(OUT preloaded boolean, OUT calls bigint, OUT written bigint, OUT waiting bigint,
       OUT dropped bigint, OUT on_standby bigint, OUT without_model bigint, OUT unreachable bigint,
       OUT without_slot bigint, OUT writer boolean)
RETURNS record
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION mlops_log() IS
'what became of the calls that were to be logged in this database since the server started: calls is the sum of the others';

CREATE FUNCTION mlops_flush_log(timeout interval DEFAULT '10 seconds') RETURNS boolean
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops_flush_log(interval) IS
'has the log written now and waits for it; false if calls still wait when the time is over';

CREATE VIEW mlops.prediction WITH (security_barrier) AS
SELECT p.at, p.model, p.version, p.role, p.deployment, p.key, p.prediction, p.label, p.rules_fired,
       p.latency_us, p.input
  FROM mlops_catalog.prediction AS p
 WHERE mlops.may(p.model, 'read');
COMMENT ON VIEW mlops.prediction IS 'logged predictions; input only where the setting log_input of the model was on';

CREATE VIEW mlops.log_gap AS
SELECT g.at, g.reason, g.calls FROM mlops_catalog.log_gap AS g;
COMMENT ON VIEW mlops.log_gap IS 'how many calls, of any model, were counted and not logged until a moment, and why';

CREATE FUNCTION mlops_score(model text, source text, key text DEFAULT NULL,
       OUT key text, OUT prediction float8, OUT label text, OUT version integer, OUT role text)
RETURNS SETOF record
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE COST 1000 ROWS 1000;
COMMENT ON FUNCTION mlops_score(text, text, text) IS
'scores a table or query and logs it in the transaction of the caller; key: the column that names the rows';

CREATE FUNCTION mlops.forget_watched(model text, key text) RETURNS bigint
AS 'MODULE_PATHNAME', 'mlops_forget_watched' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION mlops.forget_watched(text, text) IS
'erases the predictions and outcomes of a key; how many rows. For the owner of the model';
