/*
 * value.c
 *		From SQL types and datums to kinds and plain values.
 *
 * The labels of enums are cached by OID for the life of the session. A change
 * of any enum marks the cache stale, and the next look-up starts a new one; the
 * old one lives until the transaction ends, since callers may hold its labels.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "common/shortest_dec.h"
#include "compat.h"
#include "datatype/timestamp.h"
#include "frame/hash.h"
#include "frame/value.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#define ML_EPOCH_DAYS	(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)

/* ---- types ---- */

typedef struct TypeReading
{
	Oid			type;
	MlKind		kind;
	MlReading	reading;
	MlReading	array;			/* of an array of the type; NONE: not read */
} TypeReading;

static const TypeReading readings[] = {
	{BOOLOID, ML_KIND_NUMBER, ML_READ_BOOL, ML_READ_NONE},
	{INT2OID, ML_KIND_NUMBER, ML_READ_INT2, ML_READ_INT2_ARRAY},
	{INT4OID, ML_KIND_NUMBER, ML_READ_INT4, ML_READ_INT4_ARRAY},
	{INT8OID, ML_KIND_NUMBER, ML_READ_INT8, ML_READ_INT8_ARRAY},
	{FLOAT4OID, ML_KIND_NUMBER, ML_READ_FLOAT4, ML_READ_FLOAT4_ARRAY},
	{FLOAT8OID, ML_KIND_NUMBER, ML_READ_FLOAT8, ML_READ_FLOAT8_ARRAY},
	{NUMERICOID, ML_KIND_NUMBER, ML_READ_NUMERIC, ML_READ_NUMERIC_ARRAY},
	{TEXTOID, ML_KIND_CATEGORY, ML_READ_TEXT, ML_READ_NONE},
	{VARCHAROID, ML_KIND_CATEGORY, ML_READ_TEXT, ML_READ_NONE},
	{BPCHAROID, ML_KIND_CATEGORY, ML_READ_BPCHAR, ML_READ_NONE},
	{NAMEOID, ML_KIND_CATEGORY, ML_READ_NAME, ML_READ_NONE},
	{DATEOID, ML_KIND_TIME, ML_READ_DATE, ML_READ_NONE},
	{TIMESTAMPOID, ML_KIND_TIME, ML_READ_TIMESTAMP, ML_READ_NONE},
	{TIMESTAMPTZOID, ML_KIND_TIME, ML_READ_TIMESTAMPTZ, ML_READ_NONE},
	{TIMEOID, ML_KIND_TIME, ML_READ_TIME, ML_READ_NONE},
	{INTERVALOID, ML_KIND_TIME, ML_READ_INTERVAL, ML_READ_NONE}
};

static const TypeReading *
find_reading(Oid type)
{
	for (int i = 0; i < lengthof(readings); i++)
		if (readings[i].type == type)
			return &readings[i];
	return NULL;
}

/*
 * The cast of a base type to an array of floats, if the current user may call
 * it. Only base types: anybody can make composite, enum and range types, and a
 * table of theirs would run its owner's cast function as whoever trains on it.
 */
static bool
find_array_cast(Oid type, Oid array, MemoryContext cxt, FmgrInfo *cast)
{
	Oid			function;

	if (get_typtype(type) != TYPTYPE_BASE ||
		find_coercion_pathway(array, type, COERCION_EXPLICIT, &function) != COERCION_PATH_FUNC ||
		ml_function_aclcheck(function) != ACLCHECK_OK)
		return false;
	fmgr_info_cxt(function, cast, cxt);
	return cast->fn_nargs >= 1 && cast->fn_nargs <= 3;
}

bool
ml_value_needs_function(Oid type)
{
	Oid			base = getBaseType(type);

	return !OidIsValid(get_element_type(base)) && find_reading(base) == NULL && !type_is_enum(base) &&
		!IsBinaryCoercible(base, TEXTOID);
}

void
ml_value_type(Oid type, int32 typmod, MemoryContext cxt, MlValueType *result)
{
	Oid			base = getBaseType(type);
	Oid			element = get_element_type(base);
	const TypeReading *known = find_reading(OidIsValid(element) ? getBaseType(element) : base);

	memset(result, 0, sizeof(*result));
	result->type = type;
	result->typmod = typmod;
	result->base = base;
	result->kind = ML_KIND_NONE;
	result->reading = ML_READ_NONE;

	if (OidIsValid(element))
	{
		if (known != NULL && known->array != ML_READ_NONE)
		{
			result->kind = ML_KIND_ARRAY;
			result->reading = known->array;
		}
	}
	else if (known != NULL)
	{
		result->kind = known->kind;
		result->reading = known->reading;
	}
	else if (type_is_enum(base))
	{
		result->kind = ML_KIND_CATEGORY;
		result->reading = ML_READ_ENUM;
	}
	else if (IsBinaryCoercible(base, TEXTOID))
	{
		result->kind = ML_KIND_CATEGORY;
		result->reading = ML_READ_TEXT;
	}
	else
	{
		result->has_cast = true;
		result->kind = ML_KIND_ARRAY;
		if (find_array_cast(base, FLOAT8ARRAYOID, cxt, &result->cast))
			result->reading = ML_READ_FLOAT8_ARRAY;
		else if (find_array_cast(base, FLOAT4ARRAYOID, cxt, &result->cast))
			result->reading = ML_READ_FLOAT4_ARRAY;
		else
		{
			result->has_cast = false;
			result->kind = ML_KIND_NONE;
		}
	}
}

char *
ml_value_type_name(const MlValueType *type)
{
	return format_type_with_typemod(type->type, type->typmod);
}

/* ---- numbers ---- */

double
ml_value_number_slow(const MlValueType *type, Datum value)
{
	if (type->reading != ML_READ_NUMERIC)
		elog(ERROR, "type %u is not read as a number", type->type);
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, value));
}

/* ---- categories ---- */

typedef struct EnumLabel
{
	Oid			oid;			/* hash key: of the pg_enum row */
	int			length;
	NameData	label;
} EnumLabel;

static HTAB *enum_labels = NULL;
static MemoryContext enum_cxt = NULL;
static bool enum_stale = false;

static void
enum_changed(Datum arg, int cache, uint32 hash)
{
	enum_stale = true;
}

static void
start_enum_labels(void)
{
	static bool registered = false;
	HASHCTL		control = {0};

	if (!registered)
	{
		CacheRegisterSyscacheCallback(ENUMOID, enum_changed, (Datum) 0);
		registered = true;
	}
	if (enum_cxt != NULL)
	{
		MemoryContextSetParent(enum_cxt, TopTransactionContext);
		enum_cxt = NULL;
		enum_labels = NULL;
	}
	enum_stale = false;
	enum_cxt = AllocSetContextCreate(CacheMemoryContext, "mlops enum labels",
									 ALLOCSET_SMALL_SIZES);
	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(EnumLabel);
	control.hcxt = enum_cxt;
	enum_labels = hash_create("mlops enum labels", 64, &control,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static const EnumLabel *
find_enum_label(Oid oid)
{
	EnumLabel  *entry;
	HeapTuple	tuple;

	if (enum_labels == NULL || enum_stale)
		start_enum_labels();
	entry = hash_search(enum_labels, &oid, HASH_FIND, NULL);
	if (entry != NULL)
		return entry;

	tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(oid));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid internal value for enum: %u", oid)));
	/* the look-up may have marked the cache stale: the entry is then used once */
	entry = hash_search(enum_labels, &oid, HASH_ENTER, NULL);
	entry->label = ((Form_pg_enum) GETSTRUCT(tuple))->enumlabel;
	entry->length = strlen(NameStr(entry->label));
	ReleaseSysCache(tuple);
	return entry;
}

const char *
ml_value_text(const MlValueType *type, Datum value, int *length)
{
	struct varlena *text;
	const EnumLabel *label;
	const char *bytes;

	switch (type->reading)
	{
		case ML_READ_TEXT:
		case ML_READ_BPCHAR:
			text = PG_DETOAST_DATUM_PACKED(value);
			bytes = VARDATA_ANY(text);
			*length = VARSIZE_ANY_EXHDR(text);
			if (type->reading == ML_READ_BPCHAR)
				*length = bpchartruelen((char *) bytes, *length);
			return bytes;
		case ML_READ_NAME:
			bytes = NameStr(*DatumGetName(value));
			*length = strlen(bytes);
			return bytes;
		case ML_READ_ENUM:
			label = find_enum_label(DatumGetObjectId(value));
			*length = label->length;
			return NameStr(label->label);
		default:
			elog(ERROR, "type %u is not read as a category", type->type);
			return NULL;
	}
}

/* ---- times ---- */

static int64
add_saturated(int64 a, int64 b)
{
	int64		sum;

	if (pg_add_s64_overflow(a, b, &sum))
		return b < 0 ? PG_INT64_MIN : PG_INT64_MAX;
	return sum;
}

static int64
days_to_usec(int64 days)
{
	int64		usec;

	if (pg_mul_s64_overflow(days, USECS_PER_DAY, &usec))
		return days < 0 ? PG_INT64_MIN : PG_INT64_MAX;
	return usec;
}

static int64
timestamp_to_usec(Timestamp time)
{
	if (TIMESTAMP_IS_NOBEGIN(time))
		return PG_INT64_MIN;
	return add_saturated(time, ML_EPOCH_DAYS * USECS_PER_DAY);
}

static int64
date_to_usec(DateADT date)
{
	if (DATE_IS_NOBEGIN(date))
		return PG_INT64_MIN;
	if (DATE_IS_NOEND(date))
		return PG_INT64_MAX;
	return days_to_usec((int64) date + ML_EPOCH_DAYS);
}

/* the infinite intervals of newer servers have the largest fields, and so saturate */
static int64
interval_to_usec(const Interval *interval)
{
	int64		days = (int64) interval->month * DAYS_PER_MONTH + interval->day;
	int64		usec = days_to_usec(days);

	if (usec == PG_INT64_MIN || usec == PG_INT64_MAX)
		return usec;
	return add_saturated(usec, interval->time);
}

int64
ml_value_usec(const MlValueType *type, Datum value)
{
	switch (type->reading)
	{
		case ML_READ_DATE:
			return date_to_usec(DatumGetDateADT(value));
		case ML_READ_TIMESTAMP:
		case ML_READ_TIMESTAMPTZ:
			return timestamp_to_usec(DatumGetTimestamp(value));
		case ML_READ_TIME:
			return DatumGetTimeADT(value);
		case ML_READ_INTERVAL:
			return interval_to_usec(DatumGetIntervalP(value));
		default:
			elog(ERROR, "type %u is not read as a time", type->type);
			return 0;
	}
}

/* ---- arrays ---- */

static Datum
call_cast(MlValueType *type, Datum value)
{
	/* casts with a length modifier get (value, typmod, explicit) */
	switch (type->cast.fn_nargs)
	{
		case 1:
			return FunctionCall1(&type->cast, value);
		case 2:
			return FunctionCall2(&type->cast, value, Int32GetDatum(-1));
		default:
			return FunctionCall3(&type->cast, value, Int32GetDatum(-1), BoolGetDatum(true));
	}
}

static void
numeric_elements(ArrayType *array, double *element, int n)
{
	Datum	   *values;
	bool	   *nulls;

	deconstruct_array(array, NUMERICOID, -1, false, TYPALIGN_INT, &values, &nulls, &n);
	for (int i = 0; i < n; i++)
		element[i] = nulls[i] ? NAN :
			DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, values[i]));
}

/* elements of fixed size follow each other without padding; a NULL takes no place */
#define COPY_ELEMENTS(ctype) \
	do { \
		const ctype *from = (const ctype *) ARR_DATA_PTR(array); \
		for (int i = 0; i < n; i++) \
			element[i] = (bitmap && !(bitmap[i / 8] & (1 << (i % 8)))) ? NAN : (double) *from++; \
	} while (0)

double *
ml_value_array(MlValueType *type, Datum value, int *length)
{
	ArrayType  *array = DatumGetArrayTypeP(type->has_cast ? call_cast(type, value) : value);
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	const bits8 *bitmap = ARR_NULLBITMAP(array);
	double	   *element = palloc(Max(n, 1) * sizeof(double));

	*length = n;
	switch (type->reading)
	{
		case ML_READ_INT2_ARRAY:
			COPY_ELEMENTS(int16);
			break;
		case ML_READ_INT4_ARRAY:
			COPY_ELEMENTS(int32);
			break;
		case ML_READ_INT8_ARRAY:
			COPY_ELEMENTS(int64);
			break;
		case ML_READ_FLOAT4_ARRAY:
			COPY_ELEMENTS(float4);
			break;
		case ML_READ_FLOAT8_ARRAY:
			COPY_ELEMENTS(float8);
			break;
		case ML_READ_NUMERIC_ARRAY:
			numeric_elements(array, element, n);
			break;
		default:
			elog(ERROR, "type %u is not read as an array", type->type);
	}
	return element;
}

/* ---- keys ---- */

static int
double_text(double x, char *buffer)
{
	if (isnan(x) || isinf(x))
		return snprintf(buffer, DOUBLE_SHORTEST_DECIMAL_LEN, "%s",
						isnan(x) ? "NaN" : x > 0 ? "Infinity" : "-Infinity");
	return double_to_shortest_decimal_buf(x, buffer);
}

static int
float_text(float x, char *buffer)
{
	if (isnan(x) || isinf(x))
		return double_text(x, buffer);
	return float_to_shortest_decimal_buf(x, buffer);
}

/* as uuid_out, without its allocations */
static int
uuid_text(const pg_uuid_t *uuid, char *buffer)
{
	static const char hex[] = "0123456789abcdef";
	char	   *p = buffer;

	for (int i = 0; i < UUID_LEN; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		*p++ = hex[uuid->data[i] >> 4];
		*p++ = hex[uuid->data[i] & 15];
	}
	return p - buffer;
}

static uint64
hash_varlena(Datum value, bool trim, uint64 seed)
{
	struct varlena *text = PG_DETOAST_DATUM_PACKED(value);
	const char *bytes = VARDATA_ANY(text);
	int			length = VARSIZE_ANY_EXHDR(text);

	if (trim)
		length = bpchartruelen((char *) bytes, length);
	return ml_hash_bytes(bytes, length, seed);
}

uint64
ml_hash_key(Oid base, Datum key, uint64 seed)
{
	char		buffer[MAXDATELEN + 1];
	const char *text = buffer;
	int			length = -1;
	const int	utc = 0;
	Oid			output;
	bool		is_varlena;

	switch (base)
	{
		case INT2OID:
			pg_ltoa(DatumGetInt16(key), buffer);
			break;
		case INT4OID:
			pg_ltoa(DatumGetInt32(key), buffer);
			break;
		case INT8OID:
			pg_lltoa(DatumGetInt64(key), buffer);
			break;
		case FLOAT4OID:
			length = float_text(DatumGetFloat4(key), buffer);
			break;
		case FLOAT8OID:
			length = double_text(DatumGetFloat8(key), buffer);
			break;
		case UUIDOID:
			length = uuid_text(DatumGetUUIDP(key), buffer);
			break;
		case TEXTOID:
		case VARCHAROID:
		case BYTEAOID:
			return hash_varlena(key, false, seed);
		case BPCHAROID:
			return hash_varlena(key, true, seed);
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			text = JsonEncodeDateTime(buffer, key, base, &utc);
			break;
		default:
			getTypeOutputInfo(base, &output, &is_varlena);
			text = OidOutputFunctionCall(output, key);
	}
	return ml_hash_bytes(text, length >= 0 ? (Size) length : strlen(text), seed);
}
