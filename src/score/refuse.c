/*
 * refuse.c
 *		How an input that does not fit a model is refused, whatever form it
 *		came in: what was asked for, what was found, what to do.
 */
#include "postgres.h"

#include "errors.h"
#include "lib/stringinfo.h"
#include "score/score.h"

#define MAX_LISTED 20

const char *
ml_score_kind_name(MlKind kind)
{
	switch (kind)
	{
		case ML_KIND_NUMBER:
			return "a number";
		case ML_KIND_CATEGORY:
			return "a category";
		case ML_KIND_TIME:
			return "a time";
		case ML_KIND_ARRAY:
			return "an array of numbers";
		case ML_KIND_NONE:
			break;
	}
	return "nothing that can be scored";
}

/* appends , "name" to a list; says how many more there are at the end */
static void
list_name(StringInfo list, const char *name, int n, int total)
{
	if (n < MAX_LISTED)
		appendStringInfo(list, "%s\"%s\"", n == 0 ? "" : ", ", name);
	else if (n == MAX_LISTED)
		appendStringInfo(list, " and %d more", total - MAX_LISTED);
}

/* Are these the names that ROW(...) gives: f1, f2, ...? */
static bool
names_invented(int n, const char *const *name)
{
	char		invented[16];

	for (int i = 0; i < n; i++)
	{
		snprintf(invented, sizeof(invented), "f%d", i + 1);
		if (name[i] == NULL || strcmp(name[i], invented) != 0)
			return false;
	}
	return n > 0;
}

/* The input's column that may have been meant: the name in other case, or a near one. */
static const char *
nearest_input(const MlRecipe *recipe, const char *name, int ninputs,
			  const char *const *input)
{
	MlNearest	nearest;

	ml_nearest_begin(&nearest, name);
	for (int i = 0; i < ninputs; i++)
	{
		if (input[i] == NULL || ml_recipe_find(recipe, input[i]) >= 0)
			continue;
		if (pg_strcasecmp(input[i], name) == 0)
			return input[i];
		ml_nearest_offer(&nearest, input[i]);
	}
	return nearest.best;
}

static void
refuse_nameless(const MlScorer *scorer, const char *wanted)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("the row passed to model \"%s\" does not name its columns",
					scorer->resolved.model),
			 errdetail("They are called f1, f2, ... as those of ROW(...) are; version %d needs %s.",
					   scorer->resolved.version, wanted),
			 errhint("Pass a row of a table, the alias of a sub-select that names its columns, or jsonb.")));
}

/*
 * Columns that the model needs and the input lacks: all of them, and for each
 * the name in the input that is nearest. NULL names are no columns. Only a
 * record can have names that nobody gave; the keys of a document are given.
 */
void
ml_score_refuse_missing(const MlScorer *scorer, const bool *missing,
						int ninputs, const char *const *input, bool record)
{
	const MlRecipe *recipe = ml_model_input_recipe(scorer->model);
	StringInfoData wanted;
	StringInfoData meant;
	const char *only = NULL;
	int			nmissing = 0;
	int			n = 0;

	for (int f = 0; f < recipe->nfeatures; f++)
		nmissing += missing[f];
	initStringInfo(&wanted);
	initStringInfo(&meant);
	for (int f = 0; f < recipe->nfeatures; f++)
	{
		const char *best;

		if (!missing[f])
			continue;
		only = recipe->features[f].name;
		list_name(&wanted, only, n, nmissing);
		if (n++ >= MAX_LISTED)
			continue;
		best = nearest_input(recipe, only, ninputs, input);
		if (best)
			appendStringInfo(&meant, "%s\"%s\" for \"%s\"",
							 meant.len == 0 ? "" : ", ", best, only);
	}
	if (record && names_invented(ninputs, input))
		refuse_nameless(scorer, wanted.data);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 nmissing == 1 ?
			 errmsg("input of model \"%s\" lacks column \"%s\"",
					scorer->resolved.model, only) :
			 errmsg("input of model \"%s\" lacks %d columns",
					scorer->resolved.model, nmissing),
			 errdetail("Version %d was trained on %d columns; missing: %s.",
					   scorer->resolved.version, recipe->nfeatures, wanted.data),
			 meant.len > 0 ?
			 errhint("Columns are matched by name, case included. Perhaps the input has %s.", meant.data) :
			 errhint("Columns are matched by name; see mlops_describe('%s/%d') for those that the model needs.",
					 scorer->resolved.model, scorer->resolved.version)));
}

/* A column of a type that is not what the model was trained on. */
void
ml_score_refuse_type(const MlScorer *scorer, const MlFeature *feature, const char *found)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of the input of model \"%s\" is of type %s",
					feature->name, scorer->resolved.model, found),
			 errdetail("Version %d was trained on it as %s, which is %s.",
					   scorer->resolved.version, feature->type_name,
					   ml_score_kind_name(feature->kind)),
			 errhint("Cast the column to %s, or train a version on it as it is now.",
					 feature->type_name)));
}
