/*
 * mlops.c
 *		The library that every session that scores loads: settings and the
 *		module magic. It links no linear algebra; training loads mlops_learn.
 *		Preloaded by the server it also logs and counts predictions (log/).
 */
#include "postgres.h"

#include "fmgr.h"
#include "judge/judge.h"
#include "log/log.h"
#include "miscadmin.h"
#include "monitor/monitor.h"
#include "registry/evidence.h"
#include "settings.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

/* a model has another primary metric: what is in use is judged by it */
static void
metric_changed(const char *model)
{
	ml_judge_again(model, NULL);
}

void
_PG_init(void)
{
	ml_settings_define();
	ml_registry_metric_changed = metric_changed;
	ml_registry_slo_changed = ml_slo_changed;
	if (process_shared_preload_libraries_in_progress)
		ml_watch_preload();
}
