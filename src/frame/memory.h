/*
 * memory.h
 *		Memory of a frame: counted, then allocated in its context. Private to
 *		frame.
 */
#ifndef ML_FRAME_MEMORY_H
#define ML_FRAME_MEMORY_H

#include "postgres.h"

#include "frame/frame.h"

/* what: what it is for, in the message if the budget does not allow it */
extern void *ml_frame_alloc(MlFrame *frame, Size bytes, const char *what);

/* to another size; growing counts both sizes while the rows are copied */
extern void *ml_frame_resize(MlFrame *frame, void *memory, Size bytes, Size wanted, const char *what);
extern void ml_frame_release(MlFrame *frame, void *memory, Size bytes);

#endif							/* ML_FRAME_MEMORY_H */
