/*
 * mlops.c
 *		The library that every session that scores loads: settings and the
 *		module magic. It links no linear algebra; training loads mlops_learn.
 */
#include "postgres.h"

#include "fmgr.h"
#include "settings.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	ml_settings_define();
}
