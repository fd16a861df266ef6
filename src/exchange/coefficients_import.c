/*
 * coefficients_import.c
 *		A linear predictor from coefficients by name:
 *		{"(intercept)": -1.2, "tenure": -0.02, "plan=pro": 0.7}.
 *
 * A name with an equals sign is a level of a category, "plan=(other)" what no
 * name lists and "plan=(null)" a NULL, both 0 when not given; any other name
 * is a number, which counts as 0 when it is missing. {"coefficients": {...},
 * "fill": {"tenure": 30}} says what a missing number counts as.
 */
#include "postgres.h"

#include <math.h>

#include "exchange/exchange.h"
#include "miscadmin.h"
#include "json.h"
#include "utils/memutils.h"

#define INTERCEPT	"(intercept)"
#define OTHER		"(other)"
#define NONE		"(null)"

typedef struct Entry
{
	char	   *feature;
	char	   *level;			/* NULL: a number */
	double		value;
} Entry;

typedef struct Entries
{
	int			n;
	Entry	   *entry;
	bool		has_intercept;
	double		intercept;
} Entries;

static void
refuse_value(const char *name, const JsonbValue *value)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("coefficient \"%s\" must be a number", name),
			 errdetail("Found %s.", ml_json_show(value)),
			 errhint("For example '{\"(intercept)\": -1.2, \"tenure\": -0.02, \"plan=pro\": 0.7}'.")));
}

static void
take_entry(void *arg, char *name, JsonbValue *value)
{
	Entries    *entries = arg;
	double		number = value->type == jbvNumeric ? ml_json_number(value) : NAN;
	char	   *equals = strchr(name, '=');
	Entry	   *entry;

	if (!isfinite(number) || name[0] == '\0' || equals == name)
		refuse_value(name, value);
	if (strcmp(name, INTERCEPT) == 0)
	{
		entries->has_intercept = true;
		entries->intercept = number;
		return;
	}
	entry = &entries->entry[entries->n++];
	entry->feature = equals == NULL ? name : pnstrdup(name, equals - name);
	entry->level = equals == NULL ? NULL : equals + 1;
	entry->value = number;
}

static double
fill_of(Jsonb *fill, const char *name)
{
	JsonbValue	value;

	if (fill == NULL || !ml_json_find(fill, name, &value) || value.type != jbvNumeric)
		return 0;
	return ml_json_number(&value);
}

static bool
is_special(const char *level)
{
	return strcmp(level, OTHER) == 0 || strcmp(level, NONE) == 0;
}

static void
add_feature(MlRecipe *recipe, const Entries *entries, const Entry *first, Jsonb *fill)
{
	char	  **level;
	int			n = 0;

	if (first->level == NULL)
	{
		ml_recipe_add_number(recipe, first->feature, fill_of(fill, first->feature));
		return;
	}
	level = palloc(sizeof(char *) * entries->n);
	for (int i = 0; i < entries->n; i++)
	{
		const Entry *entry = &entries->entry[i];

		if (strcmp(entry->feature, first->feature) != 0)
			continue;
		if (entry->level == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%s\" is both a number and a category", entry->feature),
					 errdetail("The document has \"%s\" alone and with a level.", entry->feature),
					 errhint("Name the levels of a category \"%s=level\".", entry->feature)));
		if (!is_special(entry->level))
			level[n++] = entry->level;
	}
	ml_recipe_add_category(recipe, first->feature, level, n, NULL);
	pfree(level);
}

static double
coefficient_of(const MlRecipe *recipe, const MlDesignColumn *column, const Entries *entries)
{
	const MlFeature *feature = &recipe->features[column->feature];
	const char *level = column->code < 0 ? NULL
		: column->code == ML_CODE_POOL(feature) ? OTHER
		: column->code == ML_CODE_MISSING(feature) ? NONE : feature->level[column->code];

	for (int i = 0; i < entries->n; i++)
	{
		const Entry *entry = &entries->entry[i];

		if (strcmp(entry->feature, feature->name) == 0 &&
			(level == NULL ? entry->level == NULL : entry->level != NULL && strcmp(entry->level, level) == 0))
			return entry->value;
	}
	return 0;
}

static MlLink
link_of(const MlImport *import)
{
	static const char *const names[] = {"identity", "logit", "log", "probit", "inverse", "sqrt"};

	if (import->link == NULL)
		return import->task == ML_TASK_BINARY ? ML_LINK_LOGIT : ML_LINK_IDENTITY;
	for (int i = 0; i < (int) lengthof(names); i++)
		if (strcmp(names[i], import->link) == 0)
			return (MlLink) i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" is no link of coefficients", import->link),
			 errdetail("The links are: identity, logit, log, probit, inverse, sqrt."),
			 errhint("options => '{\"link\": \"logit\"}' makes probabilities of two classes.")));
	return ML_LINK_IDENTITY;	/* keep the compiler quiet */
}

static MlPredictor *
make_predictor(const MlRecipe *recipe, const Entries *entries, MlLink link)
{
	static const MlCoefficient none = {0, NAN, NAN, NAN};
	MlLinear   *linear = palloc0(sizeof(MlLinear));

	linear->base.kind = ML_PREDICTOR_LINEAR;
	linear->link = link;
	linear->noutputs = 1;
	linear->has_intercept = entries->has_intercept;
	linear->intercept = palloc(sizeof(MlCoefficient));
	linear->intercept[0] = none;
	linear->intercept[0].estimate = entries->intercept;
	linear->coefficient = palloc(sizeof(MlCoefficient) * Max(recipe->ndesign, 1));
	for (int j = 0; j < recipe->ndesign; j++)
	{
		CHECK_FOR_INTERRUPTS();
		linear->coefficient[j] = none;
		linear->coefficient[j].estimate = coefficient_of(recipe, &recipe->design[j], entries);
	}
	return &linear->base;
}

static Jsonb *
object_in(Jsonb *document, const char *key)
{
	JsonbValue	value;

	if (!ml_json_find(document, key, &value))
		return NULL;
	if (value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" of a document of coefficients must be an object", key),
				 errdetail("Found %s.", ml_json_show(&value)),
				 errhint("For example '{\"coefficients\": {\"tenure\": -0.02}, \"fill\": {\"tenure\": 30}}'.")));
	return JsonbValueToJsonb(&value);
}

void
ml_import_coefficients(const MlImport *import, Jsonb *document, MlModel *model)
{
	Jsonb	   *coefficients = object_in(document, "coefficients");
	Jsonb	   *fill = coefficients != NULL ? object_in(document, "fill") : NULL;
	Entries		entries = {0};
	MlLink		link = link_of(import);
	MlRecipe   *recipe;

	if (coefficients == NULL)
		coefficients = document;
	entries.entry = palloc(sizeof(Entry) * (JB_ROOT_COUNT(coefficients) + 1));
	ml_json_each(coefficients, take_entry, &entries);
	if (entries.n == 0 && !entries.has_intercept)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the document has no coefficients"),
				 errdetail("It is an object without keys."),
				 errhint("For example '{\"(intercept)\": -1.2, \"tenure\": -0.02, \"plan=pro\": 0.7}'.")));
	recipe = ml_recipe_by_hand(entries.n);
	for (int i = 0; i < entries.n; i++)
	{
		bool		seen = false;

		CHECK_FOR_INTERRUPTS();
		for (int f = 0; f < recipe->nfeatures; f++)
			seen |= strcmp(recipe->features[f].name, entries.entry[i].feature) == 0;
		if (!seen)
			add_feature(recipe, &entries, &entries.entry[i], fill);
	}
	ml_target_by_hand(import, link == ML_LINK_LOGIT ? ML_TASK_BINARY : ML_TASK_REGRESSION, 0, &recipe->target);
	ml_recipe_finish(recipe);
	model->algorithm = pstrdup("coefficients");
	model->recipe = recipe;
	model->predictor = make_predictor(recipe, &entries, link);
}
