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
	ML_PARAM_ENUM,				/* int at offset: index into choices */
	ML_PARAM_TEXT,				/* char * at offset; NULL by default */
	ML_PARAM_NUMBERS,			/* MlNumbers at offset: an array of numbers, or one; none by default */
	ML_PARAM_INTEGERS,			/* likewise, of integers */
	ML_PARAM_NAMED				/* MlNamed at offset: an object of numbers, {"age": 1}; none by default */
} MlParamType;

typedef struct MlNumbers
{
	int			n;
	double	   *value;
} MlNumbers;

typedef struct MlNamed
{
	int			n;
	char	  **name;
	double	   *value;
} MlNamed;

typedef struct MlParam
{
	const char *name;			/* as written in params; NULL ends a table */
	MlParamType type;
	size_t		offset;			/* in the struct that values are laid into */
	double		fallback;		/* default: number, 0/1, or index into choices; NAN of others */
	double		minimum;		/* of every number, inclusive */
	double		maximum;		/* inclusive; infinity: none */
	const char *const *choices; /* ENUM: names, NULL ends */
	const char *text;			/* one sentence for mlops_params() */
} MlParam;

#endif							/* ML_PARAM_H */
