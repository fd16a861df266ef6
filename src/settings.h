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

#define ML_MIN_TRAINING_MEMORY_KB			1024
#define ML_DEFAULT_TRAINING_MEMORY_KB		(1024 * 1024)
#define ML_MAX_TRAINING_MEMORY_KB			MAX_KILOBYTES

#define ML_MIN_ROLLBACK_DEPTH				1
#define ML_DEFAULT_ROLLBACK_DEPTH			10
#define ML_MAX_ROLLBACK_DEPTH				1000

#define ML_MIN_SCRATCH_KEEP					0
#define ML_DEFAULT_SCRATCH_KEEP				10
#define ML_MAX_SCRATCH_KEEP					10000

#define ML_MIN_TRAINING_WORKERS				(-1)
#define ML_DEFAULT_TRAINING_WORKERS			(-1)	/* max_parallel_maintenance_workers */
#define ML_MAX_TRAINING_WORKERS				64

extern int	ml_artifact_cache_kb;		/* mlops.artifact_cache */
extern int	ml_max_training_memory_kb;	/* mlops.max_training_memory */
extern bool ml_notify;					/* mlops.notify */
extern int	ml_rollback_depth;			/* mlops.rollback_depth */
extern int	ml_scratch_keep;			/* mlops.scratch_keep */
extern int	ml_training_workers;		/* mlops.training_workers */

extern void ml_settings_define(void);

#endif							/* ML_SETTINGS_H */
