/*
 * rule_input.c
 *		The rules of a scorer: loaded with the bundle, bound to the input.
 *
 * A program's columns are matched by name and checked by type as features are,
 * on each of the ways in which a row can come. They are bound apart from the
 * features, since an encoded row has lost what a rule may ask for: the text of
 * a rare category, the microseconds of a time.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "errors.h"
#include "json.h"
#include "score/score.h"
#include "utils/memutils.h"

/* ---- loading ---- */

/* the start of the transaction, which workers know too */
static int64
now_usec(void)
{
	return GetCurrentTransactionStartTimestamp() + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
}

void
ml_score_drop_rules(MlScorer *scorer)
{
	MlScorerRules *rules = scorer->rules;

	if (rules == NULL)
		return;
	scorer->rules = NULL;
	scorer->typed = NULL;
	ml_score_unbind(scorer);
	MemoryContextDelete(rules->cxt);
}

/* where a column's number is in the numbers of a row without names; -1: it has none */
static int
number_of(const MlModel *model, const MlRuleColumn *column)
{
	const MlRecipe *recipe = ml_model_input_recipe(model);
	int			f = ml_recipe_find(recipe, column->name);

	return f >= 0 && recipe->features[f].kind == ML_KIND_NUMBER ? recipe->features[f].first_number : -1;
}

/* The program is in cxt, a child of the scorer's context. */
void
ml_score_set_rules(MlScorer *scorer, MlRuleProgram *program, const uint8 *sha256, MemoryContext cxt)
{
	MlScorerRules *rules = MemoryContextAllocZero(cxt, sizeof(MlScorerRules));
	MemoryContext old = MemoryContextSwitchTo(cxt);
	int			n = Max(program->ncolumns, 1);

	rules->cxt = cxt;
	memcpy(rules->sha256, sha256, ML_SHA256_LENGTH);
	rules->program = program;
	rules->value = MemoryContextAllocZero(cxt, sizeof(MlRuleValue) * n);
	rules->view.taken = MemoryContextAllocZero(cxt, sizeof(uint64) * n);
	rules->number = MemoryContextAlloc(cxt, sizeof(int) * n);
	rules->used = MemoryContextAllocZero(cxt, sizeof(MlScorer *) * Max(program->nrules, 1));
	for (int i = 0; i < program->ncolumns; i++)
		rules->number[i] = number_of(scorer->model, &program->column[i]);
	rules->view.program = program;
	rules->view.value = rules->value;
	rules->view.label.isnull = rules->view.key.isnull = true;
	rules->view.now = now_usec();
	if (program->nchecks > 0)
	{
		rules->checks = ml_checks_plan(program, scorer->model);
		scorer->typed = rules->checks->typed;
	}
	MemoryContextSwitchTo(old);
	ml_score_unbind(scorer);
	scorer->rules = rules;
}

static void
load(MlScorer *scorer)
{
	MemoryContext cxt = AllocSetContextCreate(scorer->cxt, "mlops predict rules", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	bytea	   *bytes = ml_registry_rules(&scorer->resolved);
	MlRuleProgram *program = ml_rules_load(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));

	pfree(bytes);
	MemoryContextSwitchTo(old);
	ml_score_set_rules(scorer, program, scorer->resolved.rules_sha256, cxt);
}

void
ml_score_take_rules(MlScorer *scorer)
{
	MlScorerRules *rules = scorer->rules;

	if (rules != NULL && (scorer->resolved.rules == 0 ||
						  memcmp(rules->sha256, scorer->resolved.rules_sha256, ML_SHA256_LENGTH) != 0))
	{
		ml_score_drop_rules(scorer);
		rules = NULL;
	}
	if (scorer->resolved.rules == 0)
		return;
	if (rules == NULL)
	{
		load(scorer);
		return;
	}
	rules->view.now = now_usec();
	rules->no_fallback = false;
	for (int i = 0; i < rules->program->nrules; i++)
		if (rules->used[i])
			rules->used[i]->current = false;
	if (rules->fallback)
		rules->fallback->current = false;
}

/* ---- columns ---- */

ml_noreturn static void refuse_missing(const MlScorer *scorer, const MlRuleColumn *column, bool record);

static void
refuse_missing(const MlScorer *scorer, const MlRuleColumn *column, bool record)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 record ? errmsg("input of model \"%s\" has no column \"%s\"", scorer->resolved.model, column->name) :
			 errmsg("input of model \"%s\" has no key \"%s\"", scorer->resolved.model, column->name),
			 errdetail("Its rules read it, as %s.", ml_rule_type_name(column->type)),
			 errhint("Pass it, NULL where it is not known; mlops.rule_set has the rules.")));
}

static bool
suits(MlRuleType wanted, const MlValueType *found)
{
	switch (wanted)
	{
		case ML_RULE_NUMBER:
		case ML_RULE_BOOL:
			return found->kind == ML_KIND_NUMBER;
		case ML_RULE_TEXT:
			return found->kind == ML_KIND_CATEGORY;
		default:
			return found->reading == ML_READ_DATE || found->reading == ML_READ_TIMESTAMP ||
				found->reading == ML_READ_TIMESTAMPTZ;
	}
}

static int
find_column(const MlScorer *scorer, const MlShape *shape, const MlRuleColumn *column)
{
	int			found = -1;

	for (int i = 0; i < shape->ncolumns; i++)
	{
		if (shape->name[i] == NULL || strcmp(shape->name[i], column->name) != 0)
			continue;
		if (found >= 0)
			ereport(ERROR,
					(errcode(ERRCODE_AMBIGUOUS_COLUMN),
					 errmsg("input of model \"%s\" has two columns named \"%s\"", scorer->resolved.model, column->name),
					 errdetail("They are columns %d and %d of the row; columns are matched by name.", found + 1, i + 1),
					 errhint("Name each column of the row once.")));
		found = i;
	}
	if (found < 0)
		refuse_missing(scorer, column, true);
	return found;
}

static void
bind_column(MlScorer *scorer, const MlShape *shape, const MlRuleColumn *column, MlRuleBound *bound)
{
	int			i = find_column(scorer, shape, column);

	bound->position = i;
	ml_value_type(shape->type[i], shape->typmod[i], scorer->bind_cxt, &bound->type);
	if (!suits(column->type, &bound->type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of the input of model \"%s\" is %s", column->name, scorer->resolved.model,
						ml_value_type_name(&bound->type)),
				 errdetail("Its rules read it as %s.", ml_rule_type_name(column->type)),
				 errhint("Cast the column.")));
}

void
ml_score_bind_rules(MlScorer *scorer, const MlShape *shape)
{
	MlScorerRules *rules = scorer->rules;
	const MlRuleProgram *program = rules->program;

	rules->view.bound = MemoryContextAllocZero(scorer->bind_cxt, sizeof(MlRuleBound) * Max(program->ncolumns, 1));
	rules->view.plain = MemoryContextAlloc(scorer->bind_cxt, sizeof(int) * Max(program->ncolumns, 1));
	for (int i = 0; i < program->ncolumns; i++)
	{
		MlRuleBound *bound = &rules->view.bound[i];

		bind_column(scorer, shape, &program->column[i], bound);
		rules->view.plain[i] = FLOAT8PASSBYVAL && bound->type.type == FLOAT8OID &&
			program->column[i].type == ML_RULE_NUMBER ? bound->position : -1;
	}
	rules->view.first = MemoryContextAlloc(scorer->bind_cxt, sizeof(MlRuleFirst) * Max(program->nrules, 1));
	ml_rule_find_first(&rules->view);
}

/* ---- other input ---- */

/* of another type than rules read: NULL where a check of types covers the column */
static void
spare(MlScorer *scorer, const MlRuleColumn *column, const JsonbValue *found, MlRuleValue *value)
{
	uint64		checks = ml_checks_of_type(scorer->rules->program, column->name);

	if (checks == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("key \"%s\" of the input of model \"%s\" is %s", column->name, scorer->resolved.model,
						ml_json_show(found)),
				 errdetail("Its rules read it as %s.", ml_rule_type_name(column->type)),
				 errhint("Pass a value of that type, or null; times are ISO 8601.")));
	scorer->mistyped |= checks;
	value->isnull = true;
}

void
ml_score_rules_document(MlScorer *scorer, const JsonbContainer *object)
{
	MlScorerRules *rules = scorer->rules;
	const MlRuleProgram *program = rules->program;

	rules->view.column = NULL;
	for (int i = 0; i < program->ncolumns; i++)
	{
		const MlRuleColumn *column = &program->column[i];
		JsonbValue	value;

		if (getKeyJsonValueFromContainer((JsonbContainer *) object, column->name, strlen(column->name), &value) == NULL)
			refuse_missing(scorer, column, false);
		if (!ml_rule_take_json(program, i, &value, &rules->value[i]))
			spare(scorer, column, &value, &rules->value[i]);
	}
}

/* numbers without names: those of the model's features */
void
ml_score_rules_flat(MlScorer *scorer, const double *value)
{
	MlScorerRules *rules = scorer->rules;
	const MlRuleProgram *program = rules->program;

	rules->view.column = NULL;
	for (int i = 0; i < program->ncolumns; i++)
	{
		const MlRuleColumn *column = &program->column[i];
		MlRuleValue *result = &rules->value[i];

		if (rules->number[i] < 0)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("an array of numbers cannot be scored by model \"%s\"", scorer->resolved.model),
					 errdetail("Its rules read column \"%s\", which is not among the numbers of the model.", column->name),
					 errhint("Pass a row of a table, or jsonb with a key for each column.")));
		result->isnull = isnan(value[rules->number[i]]);
		if (column->type == ML_RULE_BOOL)
			result->boolean = value[rules->number[i]] != 0;
		else
			result->number = value[rules->number[i]];
	}
}
