/*
 * errors.c
 *		The nearest name to one that was mistyped; hints for errors of the server.
 */
#include "postgres.h"

#include <limits.h>

#include "errors.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

#define ML_NEAREST_MAX_LENGTH 255	/* varstr_levenshtein's own limit */

void
ml_nearest_begin(MlNearest *nearest, const char *name)
{
	nearest->name = name;
	nearest->best = NULL;
	nearest->distance = INT_MAX;
}

/* The candidate must live as long as the hint that may name it. */
void
ml_nearest_offer(MlNearest *nearest, const char *candidate)
{
	int			nlen = strlen(nearest->name);
	int			clen = strlen(candidate);
	int			limit = Max(nlen, clen) / 2;
	int			distance;

	if (nlen == 0 || clen == 0 ||
		nlen > ML_NEAREST_MAX_LENGTH || clen > ML_NEAREST_MAX_LENGTH)
		return;
	/* a name cut short, "linear", is nearer than any misspelling */
	if (nlen >= 3 && nlen < clen && pg_strncasecmp(nearest->name, candidate, nlen) == 0)
	{
		if (nearest->distance > 0)
			nearest->best = candidate;
		nearest->distance = 0;
		return;
	}
	/* one with too much, "log_loss_of_test", is as far as it is longer, but never too far */
	if (clen >= 3 && clen < nlen && pg_strncasecmp(nearest->name, candidate, clen) == 0)
		limit = nlen;
	distance = varstr_levenshtein_less_equal(nearest->name, nlen,
											 candidate, clen,
											 1, 1, 1, limit, true);
	if (distance <= limit && distance < nearest->distance)
	{
		nearest->best = candidate;
		nearest->distance = distance;
	}
}

void
ml_hint_callback(void *hint)
{
	int			code = geterrcode();

	if (code == ERRCODE_INVALID_TEXT_REPRESENTATION || code == ERRCODE_UNTRANSLATABLE_CHARACTER ||
		code == ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE)
		errhint("%s", (const char *) hint);
}
