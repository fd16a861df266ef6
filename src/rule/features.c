/*
 * features.c
 *		Rules and a version: the columns that a condition may use, and whether
 *		rules that were made for one version suit another.
 */
#include "postgres.h"

#include "rule/rule.h"

static MlRuleType
type_of(const MlFeature *feature, const char **refused)
{
	switch (feature->kind)
	{
		case ML_KIND_NUMBER:
			return strcmp(feature->type_name, "boolean") == 0 ? ML_RULE_BOOL : ML_RULE_NUMBER;
		case ML_KIND_CATEGORY:
			return ML_RULE_TEXT;
		case ML_KIND_TIME:
			if (ml_time_group(feature) == ML_TIME_CALENDAR)
				return feature->zoned ? ML_RULE_TIMESTAMPTZ : ML_RULE_TIMESTAMP;
			break;
		default:
			break;
	}
	*refused = psprintf("It is of type %s.", feature->type_name);
	return ML_RULE_UNKNOWN;
}

void
ml_rule_features(const MlModel *model, MlRuleNames *names)
{
	const MlRecipe *recipe = ml_model_input_recipe(model);

	names->task = model->recipe->target.task;
	names->time_zone = recipe->time_zone ? recipe->time_zone : "UTC";
	names->ncolumns = recipe->nfeatures;
	names->column = palloc0(sizeof(MlRuleColumn) * Max(recipe->nfeatures, 1));
	names->refused = palloc0(sizeof(char *) * Max(recipe->nfeatures, 1));
	for (int f = 0; f < recipe->nfeatures; f++)
	{
		names->column[f].name = recipe->features[f].name;
		names->column[f].type = type_of(&recipe->features[f], &names->refused[f]);
	}
}

static void
check_column(const MlRuleColumn *column, int number, const MlModel *model, const char *name, int version)
{
	const MlRecipe *recipe = ml_model_input_recipe(model);
	int			f = ml_recipe_find(recipe, column->name);
	const char *refused = NULL;

	if (f < 0)
	{
		if (column->declared)
			return;
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("rule set %d of model \"%s\" does not suit version %d", number, name, version),
				 errdetail("It reads column \"%s\", which the version does not.", column->name),
				 errhint("Create the rules again and declare the column: {\"rules\": [...], \"columns\": {\"%s\": \"%s\"}}.",
						 column->name, ml_rule_type_name(column->type))));
	}
	if (type_of(&recipe->features[f], &refused) != column->type)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("rule set %d of model \"%s\" does not suit version %d", number, name, version),
				 errdetail("It reads column \"%s\" as %s; the version was trained on it as %s.", column->name,
						   ml_rule_type_name(column->type), recipe->features[f].type_name),
				 errhint("Create the rules again for this version.")));
}

void
ml_rule_check_model(const MlRuleProgram *program, int number, const MlModel *model, const char *name, int version)
{
	for (int i = 0; i < program->ncolumns; i++)
		check_column(&program->column[i], number, model, name, version);
	ml_checks_require(program, number, model, name, version);
	if (program->task != model->recipe->target.task)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("rule set %d of model \"%s\" does not suit version %d", number, name, version),
				 errdetail("It was made for another task than the version's."),
				 errhint("Create the rules again for this version.")));
	for (int i = 0; i < program->nrules; i++)
		if (program->rule[i].action == ML_RULE_USE && program->rule[i].version == version)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("version %d of model \"%s\" cannot serve with rules that use itself", version, name),
					 errdetail("Rule \"%s\" of rule set %d uses version %d.", program->rule[i].name, number, version),
					 errhint("Let the rule use another version, or \"fallback\".")));
}

static void
add_use(int wanted, int *version, int *n)
{
	for (int i = 0; i < *n; i++)
		if (version[i] == wanted)
			return;
	version[(*n)++] = wanted;
}

int
ml_rule_uses(const MlRuleProgram *program, int *version)
{
	int			n = 0;

	for (int i = 0; i < program->nchecks; i++)
		if (program->check[i].severity == ML_SEVERITY_HARD)
			add_use(ML_RULE_FALLBACK, version, &n);
	for (int i = 0; i < program->nrules; i++)
		if (program->rule[i].action == ML_RULE_USE)
			add_use(program->rule[i].version, version, &n);
	return n;
}

static bool
reads(const MlRuleProgram *program, const char *column)
{
	for (int i = 0; i < program->ncolumns; i++)
		if (strcmp(program->column[i].name, column) == 0)
			return true;
	return false;
}

/* version: the one that is used */
void
ml_rule_check_used(const MlRuleProgram *program, int number, const MlModel *model, const MlModel *used,
				   const char *name, int version)
{
	const MlRecipe *recipe = ml_model_input_recipe(used);

	for (int f = 0; f < recipe->nfeatures; f++)
	{
		const char *column = recipe->features[f].name;

		if (ml_recipe_find(ml_model_input_recipe(model), column) < 0 && !reads(program, column))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("rule set %d of model \"%s\" uses version %d, which needs more columns", number, name, version),
					 errdetail("Column \"%s\" is neither read by the version that serves nor declared.", column),
					 errhint("Create the rules again and declare it in \"columns\".")));
	}
}
