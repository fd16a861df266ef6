/*
 * shadow.h
 *		What a shadow said of a call, on its way into the log.
 *
 * It is packed where the call is made, which copies a few bytes, and becomes JSON where the log is
 * written.
 */
#ifndef ML_SHADOW_H
#define ML_SHADOW_H

#include "postgres.h"

#include "lib/stringinfo.h"

#define ML_SHADOW_OK		"ok"
#define ML_SHADOW_FAILED	"failed"	/* how such a status begins */
#define ML_SHADOW_SKIPPED	"skipped"

typedef struct MlShadowSaid
{
	const char *name;
	int			version;
	const char *status;
	double		prediction;		/* NaN: none */
	const char *label;			/* NULL: none */
	double		us;				/* that it took; NaN: it was not asked */
} MlShadowSaid;

extern void ml_shadow_pack(StringInfo packed, const MlShadowSaid *said);

/* the next of those packed; texts point into them. false: there is none */
extern bool ml_shadow_unpack(const char **packed, const char *end, MlShadowSaid *said);

#endif							/* ML_SHADOW_H */
