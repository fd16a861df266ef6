/*
 * profile_row.h
 *		What the training rows of a version looked like, in and out of their table.
 */
#ifndef ML_PROFILE_ROW_H
#define ML_PROFILE_ROW_H

#include "postgres.h"

#include "drift/profile.h"
#include "nodes/pg_list.h"

/* position: where it comes in the list, from 1. Checks no privilege */
extern void ml_registry_insert_profile(const char *model, int version, int position, const MlProfile *profile);

/*
 * Profiles of a version, a list of MlProfile *: features in the order of the source's columns, target,
 * prediction; palloc'd in the current context, under a new snapshot. NIL: none is kept, as of a version that
 * was imported. Checks no privilege.
 */
extern List *ml_registry_profile(const char *model, int version);

/*
 * Calls each with the ranges of the bins of a version, NaN where a column has none: by scan, under the
 * active snapshot, so that it can be called where rows are scored. Checks no privilege.
 */
extern void ml_registry_profile_ranges(const char *model, int version,
									   void (*each) (void *arg, MlProfileRole role, const char *feature, double low, double high),
									   void *arg);

/* the one of that role and name; NULL: none */
extern const MlProfile *ml_profile_find(const List *profiles, MlProfileRole role, const char *name);

#endif							/* ML_PROFILE_ROW_H */
