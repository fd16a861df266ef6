/*
 * edition.c
 *		Rows of an edition of a validation set.
 */
#include "postgres.h"

#include "judge/jury.h"

MlJury *
ml_jury_of_edition(const MlJuryRequest *request, const MlEdition *edition)
{
	MlJurySource from = {.edition = edition, .target = edition->target};

	return ml_jury_open(request, &from);
}
