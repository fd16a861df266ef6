/*
 * call.h
 *		What the SQL entry points of training share.
 */
#ifndef ML_CALL_H
#define ML_CALL_H

#include "postgres.h"

#include "fmgr.h"
#include "registry/registry_catalog.h"
#include "train/train.h"

/* a copy of an argument, NULL if it is */
extern Jsonb *ml_call_jsonb(FunctionCallInfo fcinfo, int i);

/* an array of names, n of them; NULL if it is: 22004 for a NULL in it; argument: its name */
extern char **ml_call_names(FunctionCallInfo fcinfo, int i, const char *argument, int *n);

/* the first argument, which must not be NULL */
extern const char *ml_call_model(FunctionCallInfo fcinfo);

extern bool ml_call_is_atomic(FunctionCallInfo fcinfo);

/* a training of the model that the first argument names, in a context that survives the commits */
extern MlTraining *ml_call_begin(FunctionCallInfo fcinfo);

/* the row of INOUT arguments that a procedure returns */
extern Datum ml_call_result(FunctionCallInfo fcinfo, Datum *values, bool *nulls);

#endif							/* ML_CALL_H */
