/*
 * look.h
 *		What the functions that look at versions share.
 */
#ifndef ML_LOOK_H
#define ML_LOOK_H

#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "model/model.h"
#include "registry/registry.h"

/* the version that a reference names, if the caller may read it; pinned by the current context */
extern const MlModel *ml_look_model(const text *argument, MlResolved *resolved);

/* 0A000: the version has no such thing */
ml_noreturn extern void ml_look_refuse(const MlModel *model, const MlResolved *resolved,
									   const char *what, const char *hint);

/* card.c: as JSON arrays of texts, what there is to say of the predictor, and a single tree in full */
extern void ml_card_model(StringInfo json, const MlModel *model);
extern void ml_card_tree(StringInfo json, const MlModel *model);

#endif							/* ML_LOOK_H */
