/*
 * key.h
 *		Keys of rows, as everybody who takes one knows it.
 */
#ifndef ML_SCORE_KEY_H
#define ML_SCORE_KEY_H

#include "postgres.h"

#include "fmgr.h"

/* a key longer than this is known as "sha256:" and 64 hexadecimal digits */
#define ML_KEY_MAX		255
#define ML_KEY_BUFFER	(ML_KEY_MAX + 1)

/* a key as it is logged: itself, or its hash if it is longer than ML_KEY_MAX; terminated; its length */
extern int	ml_score_key(const char *bytes, Size length, char *buffer);

/* the same of an argument of type text, bigint or uuid; -1: it is NULL, or of another type */
extern int	ml_score_key_argument(FunctionCallInfo fcinfo, int n, char *buffer);

#endif							/* ML_SCORE_KEY_H */
