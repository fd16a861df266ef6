/*
 * fields.h
 *		One description of a structure that writes it as JSON and reads it back.
 *
 * The functions below take a field of the object that is open: they append it
 * to the text when writing, and look it up and check it when reading. What is
 * read is allocated in the current context. Wrong documents raise 22023 with
 * the path of the field. A NaN is null.
 */
#ifndef ML_FIELDS_H
#define ML_FIELDS_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

#define ML_FIELDS_DEPTH 12

typedef struct MlFields
{
	bool		reading;
	StringInfoData out;			/* writing */
	int			depth;
	bool		any[ML_FIELDS_DEPTH];	/* writing: something stands in it already */
	bool		is_array[ML_FIELDS_DEPTH];
	JsonbContainer *in[ML_FIELDS_DEPTH];	/* reading */
	const char *path[ML_FIELDS_DEPTH];	/* name of what is open */
	int			element[ML_FIELDS_DEPTH];
} MlFields;

extern void ml_fields_write(MlFields *f);
extern void ml_fields_read(MlFields *f, Jsonb *document);

/* 22023: the field of that name, what was found, what is wanted */
extern void ml_fields_refuse(const MlFields *f, const char *name, const char *found, const char *wanted);

/* reading: is there a field of that name that is not null? writing: there */
extern bool ml_fields_has(const MlFields *f, const char *name, bool there);

/* an object within */
extern void ml_fields_begin(MlFields *f, const char *name);
extern void ml_fields_end(MlFields *f);

/* an array of n objects; each between element and end, the array itself ends with end */
extern void ml_fields_array(MlFields *f, const char *name, int *n, int maximum);
extern void ml_fields_element(MlFields *f, int i);

extern void ml_field_text(MlFields *f, const char *name, char **value);	/* NULL is null */
extern void ml_field_bool(MlFields *f, const char *name, bool *value);
extern void ml_field_int(MlFields *f, const char *name, int *value, int minimum, int maximum);
extern void ml_field_int64(MlFields *f, const char *name, int64 *value);
extern void ml_field_double(MlFields *f, const char *name, double *value);

/* the index of a name in names, which NULL ends */
extern void ml_field_choice(MlFields *f, const char *name, int *value, const char *const *names);

/* arrays of a length that is known */
extern void ml_field_doubles(MlFields *f, const char *name, double **value, Size n);
extern void ml_field_texts(MlFields *f, const char *name, char ***value, int n);
extern void ml_field_ints(MlFields *f, const char *name, int32 **value, Size n);

/* the length of an array, when reading */
extern int	ml_fields_count(const MlFields *f, const char *name);

#endif							/* ML_FIELDS_H */
