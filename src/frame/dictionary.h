/*
 * dictionary.h
 *		The distinct values of a category column, while it is read. Private to
 *		frame.
 */
#ifndef ML_DICTIONARY_H
#define ML_DICTIONARY_H

#include "postgres.h"

#include "frame/frame.h"

/* where a dictionary lives and what counts its memory */
extern MlDictionary *ml_dictionary_create(MlFrame *frame);

/* code of the value, new if need be; counts one more row of it. hash: ml_hash_bytes of it, seed 0 */
extern int32 ml_dictionary_add(MlFrame *frame, MlDictionary *dictionary,
							   const char *bytes, int length, uint64 hash);

/* gives back what only adding needs */
extern void ml_dictionary_finish(MlFrame *frame, MlDictionary *dictionary);

#endif							/* ML_DICTIONARY_H */
