/*
 * bind.c
 *		Columns of an input row to features of a recipe: matched by name and
 *		checked by type once, then values go straight into the encoded row.
 *
 * Values enter through ml_value_* and ml_recipe_put_*, as they did when the
 * model was trained.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "score/score.h"
#include "utils/float.h"
#include "utils/memutils.h"

static MlTimeGroup
reading_group(MlReading reading)
{
	switch (reading)
	{
		case ML_READ_DATE:
		case ML_READ_TIMESTAMP:
		case ML_READ_TIMESTAMPTZ:
			return ML_TIME_CALENDAR;
		case ML_READ_TIME:
			return ML_TIME_OF_DAY;
		case ML_READ_INTERVAL:
			return ML_TIME_LENGTH;
		default:
			return ML_TIME_ANY;
	}
}

/* Which column fills which feature: position[f], or -1. */
static void
match_names(MlScorer *scorer, const MlShape *shape, int *position)
{
	const MlRecipe *recipe = ml_model_input_recipe(scorer->model);
	bool		complete = true;

	for (int f = 0; f < recipe->nfeatures; f++)
		position[f] = -1;
	for (int i = 0; i < shape->ncolumns; i++)
	{
		int			f = shape->name[i] ? ml_recipe_find(recipe, shape->name[i]) : -1;

		if (f < 0)
			continue;
		if (position[f] >= 0)
			ereport(ERROR,
					(errcode(ERRCODE_AMBIGUOUS_COLUMN),
					 errmsg("input of model \"%s\" has two columns named \"%s\"",
							scorer->resolved.model, shape->name[i]),
					 errdetail("They are columns %d and %d of the row; columns are matched by name.",
							   position[f] + 1, i + 1),
					 errhint("Name each column of the row once.")));
		position[f] = i;
	}
	for (int f = 0; f < recipe->nfeatures; f++)
		complete = complete && position[f] >= 0;
	if (!complete)
	{
		bool	   *missing = (bool *) palloc(sizeof(bool) * recipe->nfeatures);

		for (int f = 0; f < recipe->nfeatures; f++)
			missing[f] = position[f] < 0;
		ml_score_refuse_missing(scorer, missing, shape->ncolumns, shape->name, true);
	}
}

/* The kinds must agree, and times must be the same sort of time. */
static void
check_type(const MlScorer *scorer, const MlFeature *feature, const MlValueType *type)
{
	MlTimeGroup wanted = ML_TIME_ANY;

	if (type->kind == ML_KIND_TIME)
		wanted = ml_time_group(feature);
	if (type->kind == feature->kind &&
		(wanted == ML_TIME_ANY || wanted == reading_group(type->reading)))
		return;
	ml_score_refuse_type(scorer, feature, ml_value_type_name(type));
}

ml_noreturn static void refuse_cast(const MlScorer *scorer, const MlFeature *feature);

/* what a shadow is asked runs nobody's code */
static void
refuse_cast(const MlScorer *scorer, const MlFeature *feature)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of the input of model \"%s\" needs a cast function", feature->name,
					scorer->resolved.model),
			 errdetail("Version %d is a shadow, for which none is called.", scorer->resolved.version),
			 errhint("Pass the column as double precision[].")));
}

/*
 * Needs nothing looked up, and nothing converted. Where a float8 is a pointer,
 * it must not be read if it is NULL, and takes the slower way.
 */
static inline bool
is_plain_float(const MlFeature *feature, Oid type)
{
	return FLOAT8PASSBYVAL && type == FLOAT8OID && feature->kind == ML_KIND_NUMBER;
}

/*
 * May the model read the columns themselves? It may if each number of the
 * encoded row is a column of float8, and there is nothing else in it.
 */
static void
bind_directly(MlScorer *scorer)
{
	const MlRecipe *recipe = ml_model_input_recipe(scorer->model);
	const MlBoundFloat *floats = scorer->floats;
	int			n = scorer->nfloats;
	bool		in_order = true;

	scorer->direct = scorer->model->direct && n > 0 && n == recipe->nnumbers && recipe->ncategories == 0;
	scorer->direct_first = 0;
	scorer->direct_position = NULL;
	for (int i = 0; scorer->direct && i < n; i++)
	{
		scorer->direct = floats[i].number == i;
		in_order = in_order && floats[i].position == floats[0].position + i;
	}
	if (!scorer->direct)
		return;
	if (in_order)
	{
		scorer->direct_first = floats[0].position;
		return;
	}
	scorer->direct_position = (int *) MemoryContextAlloc(scorer->bind_cxt, sizeof(int) * n);
	for (int i = 0; i < n; i++)
		scorer->direct_position[i] = floats[i].position;
}

/*
 * Binds a scorer that is unbound to an input of these columns, in its bind_cxt.
 * The shape may go away; a refusal leaves the scorer unbound.
 */
void
ml_score_bind(MlScorer *scorer, const MlShape *shape)
{
	const MlRecipe *recipe = ml_model_input_recipe(scorer->model);
	int			n = recipe->nfeatures;
	int		   *position = (int *) palloc(sizeof(int) * Max(n, 1));
	int			nfloats = 0;

	match_names(scorer, shape, position);
	for (int f = 0; f < n; f++)
		nfloats += is_plain_float(&recipe->features[f], shape->type[position[f]]);
	scorer->floats = (MlBoundFloat *)
		MemoryContextAlloc(scorer->bind_cxt, sizeof(MlBoundFloat) * Max(nfloats, 1));
	scorer->others = (MlBoundColumn *)
		MemoryContextAllocZero(scorer->bind_cxt, sizeof(MlBoundColumn) * Max(n - nfloats, 1));
	scorer->nfloats = scorer->nothers = 0;
	scorer->has_cast = false;
	for (int f = 0; f < n; f++)
	{
		const MlFeature *feature = &recipe->features[f];
		MlBoundColumn *column;
		int			at = position[f];

		if (is_plain_float(feature, shape->type[at]))
		{
			scorer->floats[scorer->nfloats].position = at;
			scorer->floats[scorer->nfloats++].number = feature->first_number;
			continue;
		}
		column = &scorer->others[scorer->nothers];
		column->feature = feature;
		column->position = at;
		if (scorer->is_shadow && ml_value_needs_function(shape->type[at]))
			refuse_cast(scorer, feature);
		ml_value_type(shape->type[at], shape->typmod[at], scorer->bind_cxt, &column->type);
		check_type(scorer, column->feature, &column->type);
		scorer->has_cast = scorer->has_cast || column->type.has_cast;
		scorer->nothers++;
	}
	pfree(position);
	bind_directly(scorer);
	if (scorer->rules)
		ml_score_bind_rules(scorer, shape);
	scorer->is_bound = true;
}

static void
put_array(const MlScorer *scorer, MlBoundColumn *column, Datum value, MlRow *row)
{
	const MlFeature *feature = column->feature;
	int			length;
	double	   *element = ml_value_array(&column->type, value, &length);

	if (length != feature->nnumbers)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("array \"%s\" of the input of model \"%s\" has %d elements, not %d",
						feature->name, scorer->resolved.model, length, feature->nnumbers),
				 errdetail("Version %d was trained on arrays of %d elements.",
						   scorer->resolved.version, feature->nnumbers),
				 errhint("Pass arrays of the length that the model was trained on.")));
	ml_recipe_put_array(feature, element, row);
	pfree(element);
}

static void
put_category(MlBoundColumn *column, Datum value, MlRow *row)
{
	int			length;
	const char *bytes = ml_value_text(&column->type, value, &length);

	ml_recipe_put_category(column->feature, bytes, length, row);
}

static inline void
put_value(const MlScorer *scorer, MlBoundColumn *bound, Datum value, MlRow *row)
{
	const MlFeature *feature = bound->feature;

	if (feature->kind == ML_KIND_NUMBER)
		ml_recipe_put_number(feature, ml_value_number(&bound->type, value), row);
	else if (feature->kind == ML_KIND_CATEGORY)
		put_category(bound, value, row);
	else if (feature->kind == ML_KIND_TIME)
		ml_recipe_put_time(ml_model_input_recipe(scorer->model), feature,
						   ml_value_usec(&bound->type, value), row);
	else
		put_array(scorer, bound, value, row);
}

/*
 * Encodes a row of the shape that the scorer is bound to. Columns of float8 go
 * first, in a loop without branches: what it does is what ml_recipe_put_number
 * and ml_recipe_put_null do for a number.
 */
void
ml_score_encode(MlScorer *scorer, const NullableDatum *column)
{
	const MlBoundFloat *floats = scorer->floats;
	int			nfloats = scorer->nfloats;
	double	   *number = scorer->row.number;
	bool		any_null = false;

	for (int i = 0; i < nfloats; i++)
	{
		const NullableDatum *input = &column[floats[i].position];

		any_null |= input->isnull;
		number[floats[i].number] = DatumGetFloat8(input->value);
	}
	for (int i = 0; any_null && i < nfloats; i++)
		if (column[floats[i].position].isnull)
			number[floats[i].number] = get_float8_nan();
	for (int i = 0; i < scorer->nothers; i++)
	{
		MlBoundColumn *bound = &scorer->others[i];
		const NullableDatum *input = &column[bound->position];

		if (input->isnull)
			ml_recipe_put_null(bound->feature, &scorer->row);
		else
			put_value(scorer, bound, input->value, &scorer->row);
	}
}
