/*
 * image.h
 *		Values of our own types as text - the hexadecimal digits of their bytes,
 *		as bytea writes them, whatever the settings - and as messages, which
 *		are the bytes themselves.
 */
#ifndef ML_IMAGE_H
#define ML_IMAGE_H

#include "postgres.h"

#include "fmgr.h"

/* a type of ours */
typedef struct MlImageType
{
	const char *name;			/* for messages */
	void		(*check) (struct varlena *value, MemoryContext cxt);	/* raises an error unless the whole value is
																	 * sound; cxt is current, and goes when it is
																	 * done */
} MlImageType;

/* the bodies of the four functions of a type. In and receive return checked values; in raises 22P02 for a text that
 * stands for no bytes, out 54000 for bytes too many to be written */
extern Datum ml_image_in(const MlImageType *type, FunctionCallInfo fcinfo);
extern Datum ml_image_out(const MlImageType *type, FunctionCallInfo fcinfo);
extern Datum ml_image_recv(const MlImageType *type, FunctionCallInfo fcinfo);
extern Datum ml_image_send(FunctionCallInfo fcinfo);

/* little-endian integers and doubles, wherever they lie */
extern void ml_image_put(char *at, uint64 value, int nbytes);
extern uint64 ml_image_get(const char *at, int nbytes);
extern void ml_image_put_double(char *at, double value);
extern double ml_image_get_double(const char *at);

#endif							/* ML_IMAGE_H */
