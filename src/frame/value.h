/*
 * value.h
 *		SQL types as mlops sees them: every supported type is one of four
 *		kinds, and one function per kind takes a datum out of it. Training,
 *		evaluation and scoring share these conversions.
 */
#ifndef ML_VALUE_H
#define ML_VALUE_H

#include "postgres.h"

#include "fmgr.h"

typedef enum MlKind
{
	ML_KIND_NONE,				/* cannot be a feature: bytea, json, composite... */
	ML_KIND_NUMBER,				/* int2/4/8, float4/8, numeric, bool (0 or 1) */
	ML_KIND_CATEGORY,			/* text, varchar, char, name, enum */
	ML_KIND_TIME,				/* date, timestamp, timestamptz, time, interval */
	ML_KIND_ARRAY				/* array of numbers, or a type with a cast to one */
} MlKind;

/* how the bits of a datum are read; stored nowhere, derived from the type */
typedef enum MlReading
{
	ML_READ_NONE,
	ML_READ_BOOL, ML_READ_INT2, ML_READ_INT4, ML_READ_INT8,
	ML_READ_FLOAT4, ML_READ_FLOAT8, ML_READ_NUMERIC,
	ML_READ_TEXT, ML_READ_BPCHAR, ML_READ_NAME, ML_READ_ENUM,
	ML_READ_DATE, ML_READ_TIMESTAMP, ML_READ_TIMESTAMPTZ, ML_READ_TIME, ML_READ_INTERVAL,
	ML_READ_INT2_ARRAY, ML_READ_INT4_ARRAY, ML_READ_INT8_ARRAY,
	ML_READ_FLOAT4_ARRAY, ML_READ_FLOAT8_ARRAY, ML_READ_NUMERIC_ARRAY
} MlReading;

typedef struct MlValueType
{
	Oid			type;			/* as declared */
	int32		typmod;
	Oid			base;			/* domains looked through */
	MlKind		kind;
	MlReading	reading;
	bool		has_cast;		/* a cast function to float4[] or float8[] goes first */
	FmgrInfo	cast;
} MlValueType;

/*
 * What the type becomes. Never raises for an unsupported type: kind is then
 * ML_KIND_NONE, and the caller words the refusal. The cast's FmgrInfo is
 * allocated in cxt.
 */
extern void ml_value_type(Oid type, int32 typmod, MemoryContext cxt, MlValueType *result);

/* is the type none that is read without calling a cast function? */
extern bool ml_value_needs_function(Oid type);

/* name as format_type_with_typemod gives it; palloc'd */
extern char *ml_value_type_name(const MlValueType *type);

/*
 * ML_KIND_NUMBER. NULL is the caller's business; numeric out of float8's range
 * and numeric infinity become infinity, numeric NaN becomes NaN.
 */
extern double ml_value_number_slow(const MlValueType *type, Datum value);

static inline double
ml_value_number(const MlValueType *type, Datum value)
{
	switch (type->reading)
	{
		case ML_READ_FLOAT8:
			return DatumGetFloat8(value);
		case ML_READ_FLOAT4:
			return (double) DatumGetFloat4(value);
		case ML_READ_INT4:
			return (double) DatumGetInt32(value);
		case ML_READ_INT8:
			return (double) DatumGetInt64(value);
		case ML_READ_INT2:
			return (double) DatumGetInt16(value);
		case ML_READ_BOOL:
			return DatumGetBool(value) ? 1.0 : 0.0;
		default:
			return ml_value_number_slow(type, value);
	}
}

/*
 * ML_KIND_CATEGORY. The bytes of the value in the database encoding, not
 * terminated; char(n) without its trailing blanks; an enum as its label. May
 * point into the datum, or into memory palloc'd in the current context.
 */
extern const char *ml_value_text(const MlValueType *type, Datum value, int *length);

/*
 * ML_KIND_TIME. Microseconds: since 1970-01-01 00:00 (UTC for timestamptz) for
 * date and timestamps, since midnight for time, of length for interval (a
 * month is 30 days, a day 24 hours, as the server's own interval comparison).
 * Infinite dates and timestamps, and what is too far away for microseconds in
 * 64 bits, become PG_INT64_MIN / PG_INT64_MAX.
 */
extern int64 ml_value_usec(const MlValueType *type, Datum value);

/*
 * ML_KIND_ARRAY. The elements as doubles, NULL elements as NaN, palloc'd in
 * the current context. More than one dimension is flattened in storage order.
 */
extern double *ml_value_array(MlValueType *type, Datum value, int *length);

/*
 * Hash of a key: of the text that it becomes, so that 42, 42::bigint and '42'
 * are one key. For every type, whatever the settings: dates and timestamps as
 * ISO 8601 in UTC, bytea as its bytes, char(n) without its trailing blanks.
 * base is the type with domains looked through.
 */
extern uint64 ml_hash_key(Oid base, Datum key, uint64 seed);

#endif							/* ML_VALUE_H */
