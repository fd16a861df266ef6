/*
 * compat.h
 *		The one place that knows server versions (PostgreSQL 13 to 18).
 */
#ifndef ML_COMPAT_H
#define ML_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 130000 || PG_VERSION_NUM >= 190000
#error "mlops supports PostgreSQL 13 to 18"
#endif

#include "storage/proc.h"

/* 17 moved the local transaction id into a struct of its own */
#if PG_VERSION_NUM >= 170000
#define ML_LOCAL_XID (MyProc->vxid.lxid)
#else
#define ML_LOCAL_XID (MyProc->lxid)
#endif

/* 15 gave shared-memory requests a hook; 16 renamed a status accessor */
#if PG_VERSION_NUM >= 160000
#define ml_local_beentry(i) pgstat_get_local_beentry_by_index(i)
#else
#define ml_local_beentry(i) pgstat_fetch_stat_local_beentry(i)
#endif

/* 15 reserves prefixes of settings, 14 and before only warn */
#if PG_VERSION_NUM >= 150000
#define ml_reserve_settings(prefix) MarkGUCPrefixReserved(prefix)
#else
#define ml_reserve_settings(prefix) EmitWarningsOnPlaceholders(prefix)
#endif

/* 18 asks whether a deferrable primary key will do */
#if PG_VERSION_NUM >= 180000
#define ml_primary_key_index(rel) RelationGetPrimaryKeyIndex(rel, false)
#else
#define ml_primary_key_index(rel) RelationGetPrimaryKeyIndex(rel)
#endif

#endif							/* ML_COMPAT_H */
