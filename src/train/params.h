/*
 * params.h
 *		Parameters given as JSON, checked against tables and laid into structs.
 */
#ifndef ML_PARAMS_H
#define ML_PARAMS_H

#include "postgres.h"

#include "learn/param.h"
#include "utils/jsonb.h"

/* how messages speak of them */
typedef struct MlParamWords
{
	const char *owner;			/* "algorithm \"linear_regression\"" */
	const char *noun;			/* "parameter" */
	const char *object;			/* name of the JSON argument: "params" */
	const char *hint;			/* where the list is */
} MlParamWords;

/* a table of parameters and the struct that its offsets mean */
typedef struct MlParamSet
{
	const MlParam *table;
	void	   *values;
} MlParamSet;

/*
 * Lays defaults and then what params says into the structs, and returns the
 * canonical object: every parameter, defaults filled in. params may be NULL. 22023 for an unknown
 * name (nearest name, list), a wrong JSON type, a value out of range.
 */
extern Jsonb *ml_params_parse(const MlParamWords *words, Jsonb *params,
							  const MlParamSet *sets, int nsets);

#endif							/* ML_PARAMS_H */
