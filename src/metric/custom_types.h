/*
 * custom_types.h
 *		What the types of an aggregate's arguments ask for: private to the files
 *		of registered metrics.
 */
#ifndef ML_CUSTOM_TYPES_H
#define ML_CUSTOM_TYPES_H

#include "postgres.h"

#include "catalog/pg_type.h"
#include "metric/metric.h"
#include "utils/lsyscache.h"

typedef enum MlCustomKind
{
	ML_CUSTOM_NONE,
	ML_CUSTOM_NUMBER,
	ML_CUSTOM_TEXT,
	ML_CUSTOM_BOOLEAN
} MlCustomKind;

/* of a prediction or a label */
static inline MlCustomKind
ml_custom_kind(Oid type)
{
	switch (getBaseType(type))
	{
		case FLOAT8OID:
		case FLOAT4OID:
		case NUMERICOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return ML_CUSTOM_NUMBER;
		case TEXTOID:
		case VARCHAROID:
			return ML_CUSTOM_TEXT;
		case BOOLOID:
			return ML_CUSTOM_BOOLEAN;
		default:
			return ML_CUSTOM_NONE;
	}
}

/* the tasks whose predictions and labels can be given as these */
static inline uint32
ml_custom_tasks(MlCustomKind prediction, MlCustomKind label)
{
	static const uint32 of_prediction[] = {
		[ML_CUSTOM_NONE] = 0,
		[ML_CUSTOM_NUMBER] = ML_TASK_BINARY | ML_TASK_REGRESSION,
		[ML_CUSTOM_TEXT] = ML_TASK_BINARY | ML_TASK_MULTICLASS,
		[ML_CUSTOM_BOOLEAN] = ML_TASK_BINARY
	};

	return of_prediction[prediction] & of_prediction[label];
}

#endif							/* ML_CUSTOM_TYPES_H */
