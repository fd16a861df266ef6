/*
 * writer.h
 *		Putting values into the bytes of an artifact: little-endian, one NaN for
 *		all, text as a 32-bit length and its bytes. Raises 54000 beyond
 *		ML_ARTIFACT_MAX.
 */
#ifndef ML_WRITER_H
#define ML_WRITER_H

#include "postgres.h"

#include "model/format.h"

/* the bytes so far; a bytea's header comes first */
typedef struct MlWriter
{
	char	   *data;
	Size		used;
	Size		size;
	Size		section_at;		/* where the length of the open section goes */
} MlWriter;

extern void ml_put_bytes(MlWriter *w, const void *bytes, Size n);
extern void ml_put_integer(MlWriter *w, uint64 value, int nbytes);
extern void ml_put_byte(MlWriter *w, int value);
extern void ml_put_int32(MlWriter *w, int32 value);
extern void ml_put_int64(MlWriter *w, int64 value);
extern void ml_put_double(MlWriter *w, double value);
extern void ml_put_doubles(MlWriter *w, const double *value, Size n);	/* without their number */
extern void ml_put_text(MlWriter *w, const char *text);
extern void ml_put_text_length(MlWriter *w, const char *text, int32 length);
extern void ml_put_optional_text(MlWriter *w, const char *text);	/* NULL and the empty text are the same */

extern void ml_store_little_endian(char *at, uint64 value, int nbytes);
extern void ml_writer_begin_section(MlWriter *w, MlSection section);
extern void ml_writer_end_section(MlWriter *w);

#endif							/* ML_WRITER_H */
