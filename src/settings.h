/*
 * settings.h
 *		The settings of mlops, in alphabetical order.
 */
#ifndef ML_SETTINGS_H
#define ML_SETTINGS_H

#include "postgres.h"

#define ML_MIN_CACHE_KB						64
#define ML_DEFAULT_CACHE_KB					(64 * 1024)
#define ML_MAX_CACHE_KB						MAX_KILOBYTES

#define ML_MIN_LOG_FLUSH_INTERVAL			10		/* milliseconds */
#define ML_DEFAULT_LOG_FLUSH_INTERVAL		200
#define ML_MAX_LOG_FLUSH_INTERVAL			60000

#define ML_MIN_LOG_RETENTION				0		/* days; 0: for ever */
#define ML_DEFAULT_LOG_RETENTION			0
#define ML_MAX_LOG_RETENTION				36500

#define ML_MIN_LOG_RING_KB					256
#define ML_DEFAULT_LOG_RING_KB				(16 * 1024)
#define ML_MAX_LOG_RING_KB					(1024 * 1024)

#define ML_MIN_LOG_WAIT						0		/* milliseconds */
#define ML_DEFAULT_LOG_WAIT					10
#define ML_MAX_LOG_WAIT						60000

#define ML_MIN_TRAINING_MEMORY_KB			1024
#define ML_DEFAULT_TRAINING_MEMORY_KB		(1024 * 1024)
#define ML_MAX_TRAINING_MEMORY_KB			MAX_KILOBYTES

#define ML_MIN_ROLLBACK_DEPTH				1
#define ML_DEFAULT_ROLLBACK_DEPTH			10
#define ML_MAX_ROLLBACK_DEPTH				1000

#define ML_MIN_SCRATCH_KEEP					0
#define ML_DEFAULT_SCRATCH_KEEP				10
#define ML_MAX_SCRATCH_KEEP					10000

#define ML_DEFAULT_SHADOW_TIME_LIMIT			1.0		/* milliseconds; 0: none */
#define ML_MAX_SHADOW_TIME_LIMIT			60000.0

#define ML_MIN_STATISTICS_FLUSH_INTERVAL	100		/* milliseconds */
#define ML_DEFAULT_STATISTICS_FLUSH_INTERVAL	10000
#define ML_MAX_STATISTICS_FLUSH_INTERVAL	3600000

#define ML_MIN_STATISTICS_PERIOD			60		/* seconds */
#define ML_DEFAULT_STATISTICS_PERIOD		3600
#define ML_MAX_STATISTICS_PERIOD			86400

#define ML_MIN_STATISTICS_RETENTION			0		/* days; 0: for ever */
#define ML_DEFAULT_STATISTICS_RETENTION		400
#define ML_MAX_STATISTICS_RETENTION			36500

#define ML_MIN_STATISTICS_KB				128
#define ML_DEFAULT_STATISTICS_KB			(4 * 1024)
#define ML_MAX_STATISTICS_KB				(1024 * 1024)

#define ML_MIN_TRAINING_WORKERS				(-1)
#define ML_DEFAULT_TRAINING_WORKERS			(-1)	/* max_parallel_maintenance_workers */
#define ML_MAX_TRAINING_WORKERS				64

extern int	ml_artifact_cache_kb;		/* mlops.artifact_cache */
extern int	ml_log_flush_interval_ms;	/* mlops.log_flush_interval */
extern int	ml_log_retention_days;		/* mlops.log_retention */
extern int	ml_log_ring_size_kb;		/* mlops.log_ring_size */
extern int	ml_log_wait_ms;				/* mlops.log_wait */
extern int	ml_max_training_memory_kb;	/* mlops.max_training_memory */
extern bool ml_notify;					/* mlops.notify */
extern int	ml_rollback_depth;			/* mlops.rollback_depth */
extern int	ml_scratch_keep;			/* mlops.scratch_keep */
extern double ml_shadow_time_limit_ms;	/* mlops.shadow_time_limit */
extern int	ml_statistics_flush_interval_ms;	/* mlops.statistics_flush_interval */
extern int	ml_statistics_period_s;		/* mlops.statistics_period */
extern int	ml_statistics_retention_days;	/* mlops.statistics_retention */
extern int	ml_statistics_size_kb;		/* mlops.statistics_size */
extern int	ml_training_workers;		/* mlops.training_workers */

extern void ml_settings_define(void);

#endif							/* ML_SETTINGS_H */
