/*
 * cursor.h
 *		Reading bytes that nobody vouches for: a cursor that knows how much is
 *		left. Private to the reader of artifacts.
 *
 * Functions that read advance the cursor, or raise ML004 with the byte, the
 * section, and what field calls the value.
 */
#ifndef ML_CURSOR_H
#define ML_CURSOR_H

#include "postgres.h"

#include "compat.h"
#include "model/format.h"

typedef struct MlCursor
{
	const char *data;
	Size		length;			/* of the whole artifact */
	Size		end;			/* of what may be read now: the section, or the artifact */
	Size		at;
	const char *what;			/* whose bytes, for messages; NULL: an artifact's */
	const char *section;		/* its tag, for messages */
	const char *field;			/* what is being read, for messages */
	int			encoding;		/* of the text */
	int			format;			/* of the artifact */
	bool		is_encoder;		/* it is that of an encoder, within another */
} MlCursor;

typedef enum MlFloatRange
{
	ML_FLOAT_ANY,				/* NaN and infinity mean something */
	ML_FLOAT_OR_NAN,			/* finite, or NaN for not known */
	ML_FLOAT_FINITE,
	ML_FLOAT_SHARE,				/* from 0 to 1 */
	ML_FLOAT_SPREAD				/* not negative, or NaN for not known */
} MlFloatRange;

ml_noreturn extern void ml_cursor_refuse(const MlCursor *c, Size at, const char *found, const char *expected);

/* bytes that are left of the section, or of the artifact between sections */
extern Size ml_cursor_left(const MlCursor *c);

extern const char *ml_cursor_bytes(MlCursor *c, Size n, const char *field);
extern uint64 ml_cursor_integer(MlCursor *c, int nbytes, const char *field);

/* an integer of that width from minimum to maximum */
extern int64 ml_cursor_range(MlCursor *c, int nbytes, int64 minimum, int64 maximum, const char *field);
extern bool ml_cursor_flag(MlCursor *c, const char *field);

/* a count of records, each of at least record_bytes, which must be there */
extern int	ml_cursor_count(MlCursor *c, Size record_bytes, const char *field);

/* refuses n records of that size which are not there */
extern void ml_cursor_require(MlCursor *c, Size n, Size record_bytes, const char *field);
extern double ml_cursor_double(MlCursor *c, MlFloatRange range, const char *field);

/* n of them, palloc'd */
extern double *ml_cursor_doubles(MlCursor *c, Size n, MlFloatRange range, const char *field);

/* palloc'd and terminated, in the encoding of the database */
extern char *ml_cursor_text(MlCursor *c, Size minimum, Size maximum, const char *field);
extern char *ml_cursor_name(MlCursor *c, const char *field);
extern char *ml_cursor_optional_name(MlCursor *c, const char *field);	/* the empty text is NULL */

/* refuses a text that occurs twice; stride is the distance between the texts */
extern void ml_cursor_require_distinct(const MlCursor *c, Size at, const char *first, int n, Size stride);

extern void ml_cursor_begin_section(MlCursor *c, MlSection section);
extern void ml_cursor_end_section(MlCursor *c);

#endif							/* ML_CURSOR_H */
