/*
 * format.h
 *		The bytes of an artifact: what writer (format.c) and reader (reader.c,
 *		cursor.c) share, and nobody else includes.
 *
 * All integers are little-endian, floats are the 64 bits of IEEE 754, text is
 * a 32-bit length and that many bytes. Sections come in the order below, each
 * exactly once, each with its tag and its length. docs/formats.md has the
 * fields. Whatever changes here changes ML_ARTIFACT_FORMAT.
 */
#ifndef ML_FORMAT_H
#define ML_FORMAT_H

#include "postgres.h"

/*
 * Format 2 has other kinds of predictors, statistics within PRED, and
 * calibrations. Format 1 is read for ever.
 */
#define ML_ARTIFACT_FORMAT	2
#define ML_ARTIFACT_MAX		(INT64CONST(1) << 30)	/* bytes */

/*
 * As PNG's: a byte above 127, a name, and line ends that a transfer as text
 * would change.
 */
#define ML_MAGIC			"\x89MLO\r\n\x1a\n"
#define ML_MAGIC_LENGTH		8
#define ML_HEADER_LENGTH	(ML_MAGIC_LENGTH + 4 + 4 + 8)	/* magic, format, sections, length */
#define ML_TAG_LENGTH		4
#define ML_SECTION_LENGTH	(ML_TAG_LENGTH + 8) /* tag, length of what follows */

typedef enum MlSection
{
	ML_SECTION_HEAD,			/* algorithm, encoding of the text */
	ML_SECTION_RECIPE,			/* parameters, coding, time zone, rows */
	ML_SECTION_FEATURES,
	ML_SECTION_NUMBERS,			/* doubles of the encoded row */
	ML_SECTION_TARGET,
	ML_SECTION_DESIGN,			/* columns in the order of the coefficients */
	ML_SECTION_PREDICTOR,		/* kind, and what the kind writes */
	ML_SECTION_STATISTICS,		/* format 1 only: standard errors and what follows from them */
	ML_SECTION_CALIBRATION,		/* from format 2 on */
	ML_SECTION_FACTS,
	ML_SECTION_ENCODER			/* from format 2 on, of models that have one: its artifact */
} MlSection;

#define ML_NTAGS			(ML_SECTION_ENCODER + 1)
#define ML_NSECTIONS		9	/* of either format, without ENCODER */

extern const char *const ml_section_tag[ML_NTAGS];

/*
 * Longest name of a column, a class' column or a fact. The server's own names
 * are shorter; the limit keeps names that are made of a column's and a level's
 * in proportion to the bytes read.
 */
#define ML_MAX_NAME			255

#endif							/* ML_FORMAT_H */
