/*
 * param.h
 *		Parameters as data: name, type, default, range and explanation in a
 *		table, parsed by one routine (train/params.c), listed by
 *		mlops_params(), refused with the range and the nearest name.
 */
#ifndef ML_PARAM_H
#define ML_PARAM_H

#include "postgres.h"

typedef enum MlParamType
{
	ML_PARAM_BOOL,				/* bool at offset */
	ML_PARAM_INT,				/* int64 at offset */
	ML_PARAM_FLOAT,				/* double at offset */
	ML_PARAM_ENUM				/* int at offset: index into choices */
} MlParamType;

typedef struct MlParam
{
	const char *name;			/* as written in params; NULL ends a table */
	MlParamType type;
	size_t		offset;			/* in the struct that values are laid into */
	double		fallback;		/* default: number, 0/1, or index into choices */
	double		minimum;		/* INT, FLOAT: inclusive */
	double		maximum;		/* inclusive; infinity: none */
	const char *const *choices; /* ENUM: names, NULL ends */
	const char *text;			/* one sentence for mlops_params() */
} MlParam;

#endif							/* ML_PARAM_H */
