/*
 * settings.c
 *		The settings of mlops, in alphabetical order.
 */
#include "postgres.h"

#include "compat.h"
#include "miscadmin.h"
#include "settings.h"
#include "utils/guc.h"

int			ml_artifact_cache_kb = ML_DEFAULT_CACHE_KB;
int			ml_log_flush_interval_ms = ML_DEFAULT_LOG_FLUSH_INTERVAL;
int			ml_log_retention_days = ML_DEFAULT_LOG_RETENTION;
int			ml_log_ring_size_kb = ML_DEFAULT_LOG_RING_KB;
int			ml_log_wait_ms = ML_DEFAULT_LOG_WAIT;
int			ml_max_training_memory_kb = ML_DEFAULT_TRAINING_MEMORY_KB;
bool		ml_notify = true;
int			ml_rollback_depth = ML_DEFAULT_ROLLBACK_DEPTH;
int			ml_scratch_keep = ML_DEFAULT_SCRATCH_KEEP;
double		ml_shadow_time_limit_ms = ML_DEFAULT_SHADOW_TIME_LIMIT;
int			ml_statistics_flush_interval_ms = ML_DEFAULT_STATISTICS_FLUSH_INTERVAL;
int			ml_statistics_period_s = ML_DEFAULT_STATISTICS_PERIOD;
int			ml_statistics_retention_days = ML_DEFAULT_STATISTICS_RETENTION;
int			ml_statistics_size_kb = ML_DEFAULT_STATISTICS_KB;
int			ml_training_workers = ML_DEFAULT_TRAINING_WORKERS;

void
ml_settings_define(void)
{
	DefineCustomIntVariable("mlops.artifact_cache",
							"Memory that a session keeps decoded models in.",
							"A model in use is never evicted, whatever its size.",
							&ml_artifact_cache_kb,
							ML_DEFAULT_CACHE_KB, ML_MIN_CACHE_KB, ML_MAX_CACHE_KB,
							PGC_USERSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("mlops.log_flush_interval",
							"Time after which logged predictions are written to their table.",
							"It bounds what a crash can lose.",
							&ml_log_flush_interval_ms,
							ML_DEFAULT_LOG_FLUSH_INTERVAL,
							ML_MIN_LOG_FLUSH_INTERVAL, ML_MAX_LOG_FLUSH_INTERVAL,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("mlops.log_retention",
							"Days for which mlops_prune_log() keeps logged predictions; 0 keeps them for ever.",
							NULL,
							&ml_log_retention_days,
							ML_DEFAULT_LOG_RETENTION,
							ML_MIN_LOG_RETENTION, ML_MAX_LOG_RETENTION,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	/* a library that is not preloaded has no ring, and may not define what only a start can change */
	DefineCustomIntVariable("mlops.log_ring_size",
							"Shared memory for predictions that wait to be logged.",
							"Only where shared_preload_libraries has mlops.",
							&ml_log_ring_size_kb,
							ML_DEFAULT_LOG_RING_KB,
							ML_MIN_LOG_RING_KB, ML_MAX_LOG_RING_KB,
							process_shared_preload_libraries_in_progress ? PGC_POSTMASTER : PGC_SIGHUP,
							GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("mlops.log_wait",
							"Time that a prediction waits for room in a full log before it is counted instead.",
							"It is not waited for again before there has been room.",
							&ml_log_wait_ms,
							ML_DEFAULT_LOG_WAIT,
							ML_MIN_LOG_WAIT, ML_MAX_LOG_WAIT,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("mlops.max_training_memory",
							"Memory that one training may take.",
							"A training that needs more is refused before it takes it.",
							&ml_max_training_memory_kb,
							ML_DEFAULT_TRAINING_MEMORY_KB,
							ML_MIN_TRAINING_MEMORY_KB, ML_MAX_TRAINING_MEMORY_KB,
							PGC_SUSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomBoolVariable("mlops.notify",
							 "Send NOTIFY mlops when what serves changes, and of alerts.",
							 NULL,
							 &ml_notify, true,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("mlops.rollback_depth",
							"Number of earlier bundles that a rollback can go back to.",
							NULL,
							&ml_rollback_depth,
							ML_DEFAULT_ROLLBACK_DEPTH,
							ML_MIN_ROLLBACK_DEPTH, ML_MAX_ROLLBACK_DEPTH,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("mlops.scratch_keep",
							"Number of scratch versions that a model keeps.",
							"Training one more drops the oldest that is not in use.",
							&ml_scratch_keep,
							ML_DEFAULT_SCRATCH_KEEP,
							ML_MIN_SCRATCH_KEEP, ML_MAX_SCRATCH_KEEP,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("mlops.shadow_time_limit",
							 "Mean time of a call above which a shadow is skipped; 0 sets no limit.",
							 "One call in 256 is made nevertheless, to see whether it has become faster.",
							 &ml_shadow_time_limit_ms,
							 ML_DEFAULT_SHADOW_TIME_LIMIT, 0.0, ML_MAX_SHADOW_TIME_LIMIT,
							 PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("mlops.statistics_flush_interval",
							"Time after which counted calls are written to the serving statistics.",
							"It bounds what a crash can lose.",
							&ml_statistics_flush_interval_ms,
							ML_DEFAULT_STATISTICS_FLUSH_INTERVAL,
							ML_MIN_STATISTICS_FLUSH_INTERVAL, ML_MAX_STATISTICS_FLUSH_INTERVAL,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("mlops.statistics_period",
							"Length of the parts of a day that serving statistics are kept by.",
							NULL,
							&ml_statistics_period_s,
							ML_DEFAULT_STATISTICS_PERIOD,
							ML_MIN_STATISTICS_PERIOD, ML_MAX_STATISTICS_PERIOD,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("mlops.statistics_retention",
							"Days for which mlops_tick() keeps serving statistics; 0 keeps them for ever.",
							NULL,
							&ml_statistics_retention_days,
							ML_DEFAULT_STATISTICS_RETENTION,
							ML_MIN_STATISTICS_RETENTION, ML_MAX_STATISTICS_RETENTION,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("mlops.statistics_size",
							"Shared memory for counts that wait to be written to the serving statistics.",
							"Only where shared_preload_libraries has mlops.",
							&ml_statistics_size_kb,
							ML_DEFAULT_STATISTICS_KB,
							ML_MIN_STATISTICS_KB, ML_MAX_STATISTICS_KB,
							process_shared_preload_libraries_in_progress ? PGC_POSTMASTER : PGC_SIGHUP,
							GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("mlops.training_workers",
							"Number of background workers that help one training.",
							"They count among max_parallel_workers. -1 means as many as max_parallel_maintenance_workers, 0 none.",
							&ml_training_workers,
							ML_DEFAULT_TRAINING_WORKERS,
							ML_MIN_TRAINING_WORKERS, ML_MAX_TRAINING_WORKERS,
							PGC_USERSET, 0, NULL, NULL, NULL);
	ml_reserve_settings("mlops");
}
