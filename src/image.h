/*
 * image.h
 *		Values of our own types as text: the hexadecimal digits of their bytes,
 *		as bytea writes them, whatever the settings.
 */
#ifndef ML_IMAGE_H
#define ML_IMAGE_H

#include "postgres.h"

/* \x and two digits a byte; palloc'd and terminated. type is for messages: 54000 if too long */
extern char *ml_image_out(const char *type, const char *bytes, Size length);

/* a varlena of the bytes that the text stands for; 22P02 if it is no such text */
extern struct varlena *ml_image_in(const char *type, const char *text);

/* little-endian integers and doubles, wherever they lie */
extern void ml_image_put(char *at, uint64 value, int nbytes);
extern uint64 ml_image_get(const char *at, int nbytes);
extern void ml_image_put_double(char *at, double value);
extern double ml_image_get_double(const char *at);

#endif							/* ML_IMAGE_H */
