/*
 * look.h
 *		What the functions that look at versions share.
 */
#ifndef ML_LOOK_H
#define ML_LOOK_H

#include "postgres.h"

#include "fmgr.h"
#include "model/model.h"
#include "registry/registry.h"

/* the version that a reference names, if the caller may read it; pinned by the current context */
extern const MlModel *ml_look_model(const text *argument, MlResolved *resolved);

/* 0A000: the version has no such thing */
ml_noreturn extern void ml_look_refuse(const MlModel *model, const MlResolved *resolved,
									   const char *what, const char *hint);

#endif							/* ML_LOOK_H */
