/*
 * mlops.c
 *		The library that every session that scores loads: settings and the
 *		module magic. It links no linear algebra; training loads mlops_learn.
 *		Preloaded by the server it also logs predictions (watch/).
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "settings.h"
#include "watch/watch.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	ml_settings_define();
	if (process_shared_preload_libraries_in_progress)
		ml_watch_preload();
}
