/*
 * read_checks.c
 *		Checks as users write them: JSON to what a program holds.
 *
 *		[{"name": "known plan", "check": "unseen", "column": "plan", "severity": "hard"},
 *		 {"name": "plausible", "check": "range", "bounds": {"age": [0, 120], "income": [0, null]}},
 *		 {"name": "answer", "check": "finite", "severity": "hard"}]
 *
 * Columns are features of the version that the rule set is made for, and are
 * looked at again when it is promoted with another. "reason" is for readers.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "json.h"
#include "lib/stringinfo.h"
#include "rule/compile.h"
#include "utils/builtins.h"

#define EXAMPLE "As in [{\"name\": \"age\", \"check\": \"range\", \"column\": \"age\", \"low\": 0, \"high\": 120, \"severity\": \"hard\"}]."

/* a check as it was found in JSON */
typedef struct Found
{
	const MlModel *model;
	const MlRuleProgram *program;	/* whose rules declare columns */
	MlCheck    *check;
	int			number;			/* from 1, for messages */
	bool		has_kind;
	bool		has_severity;
	bool		has_columns;
	bool		has_bounds;
	bool		has_low;
	bool		has_high;
	double		low;
	double		high;
	JsonbValue	bounds;
} Found;

static const char *const kind_names[] = {
	[ML_CHECK_MISSING] = "missing",
	[ML_CHECK_RANGE] = "range",
	[ML_CHECK_UNSEEN] = "unseen",
	[ML_CHECK_TYPE] = "type",
	[ML_CHECK_FINITE] = "finite",
	[ML_CHECK_MISSING_SHARE] = "missing_share",
	[ML_CHECK_UNSEEN_SHARE] = "unseen_share"
};

static const char *const severity_names[] = {
	[ML_SEVERITY_HARD] = "hard",
	[ML_SEVERITY_SOFT] = "soft",
	[ML_SEVERITY_DRIFT] = "drift"
};

const char *
ml_check_kind_name(MlCheckKind kind)
{
	return kind_names[kind];
}

const char *
ml_severity_name(MlSeverity severity)
{
	return severity_names[severity];
}

/* ---- refusing ---- */

static void
refuse(const Found *found, const char *message, const char *detail, const char *hint)
{
	ml_rules_refuse(found->check->name ? psprintf("check \"%s\" %s", found->check->name, message) :
					psprintf("check %d %s", found->number, message), detail, hint);
}

static void
refuse_value(const Found *found, const char *key, const JsonbValue *value, const char *detail)
{
	refuse(found, psprintf("has the %s %s", key, ml_json_show(value)), detail, EXAMPLE);
}

/* a name that is none of those known */
static int
find_name(const Found *found, const char *key, const JsonbValue *value, const char *const *known, int n)
{
	StringInfoData list;
	MlNearest	nearest;
	char	   *name;

	if (value->type != jbvString)
		refuse_value(found, key, value, "It must be a string.");
	name = ml_json_string(value);
	initStringInfo(&list);
	ml_nearest_begin(&nearest, name);
	for (int i = 0; i < n; i++)
	{
		if (strcmp(known[i], name) == 0)
			return i;
		appendStringInfo(&list, "%s\"%s\"", i == 0 ? "" : ", ", known[i]);
		ml_nearest_offer(&nearest, known[i]);
	}
	refuse(found, psprintf("has the %s \"%s\"", key, name), psprintf("There are %s.", list.data),
		   nearest.best ? psprintf("Perhaps you meant \"%s\".", nearest.best) : EXAMPLE);
	return 0;
}

static void
refuse_column(const MlCheck *check, const char *column, const MlRecipe *recipe)
{
	MlNearest	nearest;

	ml_nearest_begin(&nearest, column);
	for (int f = 0; f < recipe->nfeatures; f++)
		ml_nearest_offer(&nearest, recipe->features[f].name);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("check \"%s\" is of a column that the model does not read: \"%s\"", check->name, column),
			 errdetail("Checks are of the %d columns that a version was trained on.", recipe->nfeatures),
			 nearest.best ? errhint("Perhaps you meant \"%s\".", nearest.best) :
			 errhint("mlops_describe(model) names them.")));
}

/* ---- columns ---- */

/* NULL: the kind fits; else what it fits */
static const char *
misfit(MlCheckKind kind, const MlFeature *feature)
{
	bool		is_number = feature->kind == ML_KIND_NUMBER && strcmp(feature->type_name, "boolean") != 0;

	if (kind == ML_CHECK_RANGE && !is_number && feature->kind != ML_KIND_ARRAY)
		return "numbers and arrays of numbers";
	if ((kind == ML_CHECK_UNSEEN || kind == ML_CHECK_UNSEEN_SHARE) && feature->kind != ML_KIND_CATEGORY)
		return "text and enums";
	return NULL;
}

static bool
is_declared(const MlRuleProgram *program, const char *column)
{
	for (int i = 0; i < program->ncolumns; i++)
		if (program->column[i].declared && strcmp(program->column[i].name, column) == 0)
			return true;
	return false;
}

static void
check_column(const Found *found, const MlCheckColumn *column)
{
	const MlCheck *check = found->check;
	const MlRecipe *recipe = ml_model_input_recipe(found->model);
	int			f = ml_recipe_find(recipe, column->name);
	const char *fits;

	for (const MlCheckColumn *other = check->column; other < column; other++)
		if (strcmp(other->name, column->name) == 0)
			refuse(found, psprintf("names column \"%s\" twice", column->name), "A check looks at a column once.", "Leave one out.");
	if (f < 0 && check->kind == ML_CHECK_TYPE && is_declared(found->program, column->name))
		return;
	if (f < 0)
		refuse_column(check, column->name, recipe);
	fits = misfit(check->kind, &recipe->features[f]);
	if (fits != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("check \"%s\" does not fit column \"%s\"", check->name, column->name),
				 errdetail("Checks of kind \"%s\" are of %s; the model was trained on the column as %s.",
						   kind_names[check->kind], fits, recipe->features[f].type_name),
				 errhint("Check it for something else, or by a rule.")));
}

static void
add_column(Found *found, const JsonbValue *name)
{
	MlCheck    *check = found->check;
	MlCheckColumn *column = &check->column[check->ncolumns];

	if (name->type != jbvString || name->val.string.len == 0)
		refuse_value(found, "column", name, "It must be the name of a column.");
	column->name = ml_json_string(name);
	column->low = -INFINITY;
	column->high = INFINITY;
	check->ncolumns++;
}

static void
take_columns(Found *found, const JsonbValue *value)
{
	JsonbContainer *list = value->type == jbvBinary ? value->val.binary.data : NULL;
	int			n = list != NULL && JsonContainerIsArray(list) ? JsonContainerSize(list) : 0;

	if (n == 0 || n > ML_RULE_MAX_COLUMNS)
		refuse_value(found, "columns", value, psprintf("It must be a list of 1 to %d columns.", ML_RULE_MAX_COLUMNS));
	found->check->column = palloc0(sizeof(MlCheckColumn) * n);
	for (int i = 0; i < n; i++)
		add_column(found, getIthJsonbValueFromContainer(list, i));
}

/* ---- bounds ---- */

static double
bound_of(const Found *found, const char *key, const JsonbValue *value)
{
	double		number = value->type == jbvNumeric ? ml_json_number(value) : NAN;

	if (!isfinite(number))
		refuse_value(found, key, value, "It must be a finite number.");
	return number;
}

static void
check_bounds(const Found *found, double low, double high)
{
	if (low > high)
		refuse(found, psprintf("has the bounds %g and %g", low, high), "The low one is above the high one.", "Exchange them.");
	if (ml_check_is_share(found->check->kind) && !(high >= 0 && high <= 1))
		refuse(found, psprintf("has the high %g", high), "It is a bound of a share of rows, from 0 to 1.", "As in \"high\": 0.1.");
}

/* [low, high], either of which may be null */
static void
take_pair(const Found *found, const JsonbValue *value, MlCheckColumn *column)
{
	JsonbContainer *pair = value->type == jbvBinary ? value->val.binary.data : NULL;
	JsonbValue *bound[2];

	if (pair == NULL || !JsonContainerIsArray(pair) || JsonContainerSize(pair) != 2)
		refuse_value(found, psprintf("bounds of \"%s\"", column->name), value,
					 "They must be a list of two numbers, null where there is no bound.");
	for (int i = 0; i < 2; i++)
		bound[i] = getIthJsonbValueFromContainer(pair, i);
	if (bound[0]->type != jbvNull)
		column->low = bound_of(found, "low", bound[0]);
	if (bound[1]->type != jbvNull)
		column->high = bound_of(found, "high", bound[1]);
}

static void
take_bound(void *arg, char *key, JsonbValue *value)
{
	Found	   *found = arg;
	MlCheck    *check = found->check;
	JsonbValue	name = {.type = jbvString};

	name.val.string.val = key;
	name.val.string.len = strlen(key);
	add_column(found, &name);
	if (ml_check_is_share(check->kind))
		check->column[check->ncolumns - 1].high = bound_of(found, psprintf("bound of \"%s\"", key), value);
	else
		take_pair(found, value, &check->column[check->ncolumns - 1]);
	check_bounds(found, check->column[check->ncolumns - 1].low, check->column[check->ncolumns - 1].high);
}

static void
take_bounds(Found *found)
{
	JsonbContainer *object = found->bounds.type == jbvBinary ? found->bounds.val.binary.data : NULL;

	if (object == NULL || !JsonContainerIsObject(object) || JsonContainerSize(object) == 0)
		refuse_value(found, "bounds", &found->bounds, "They must be an object of columns and their bounds.");
	if (found->has_columns || found->has_low || found->has_high)
		refuse(found, "has \"bounds\" and other columns or bounds", "\"bounds\" names columns and their bounds.", "Use one of the two.");
	found->check->column = palloc0(sizeof(MlCheckColumn) * JsonContainerSize(object));
	ml_json_each(JsonbValueToJsonb(&found->bounds), take_bound, found);
}

/* a share is of columns that are named: those of today, not of any version */
static void
name_all_columns(Found *found)
{
	MlCheck    *check = found->check;
	const MlRecipe *recipe = ml_model_input_recipe(found->model);

	check->column = palloc0(sizeof(MlCheckColumn) * Max(recipe->nfeatures, 1));
	for (int f = 0; f < recipe->nfeatures; f++)
		if (misfit(check->kind, &recipe->features[f]) == NULL)
			check->column[check->ncolumns++].name = recipe->features[f].name;
	if (check->ncolumns == 0)
		refuse(found, "is of no column", "The model has no column that it fits.", "Leave it out.");
}

/* low and high, of each column that is named */
static void
set_bounds(Found *found)
{
	MlCheck    *check = found->check;
	double		low = found->has_low ? found->low : -INFINITY;
	double		high = found->has_high ? found->high : INFINITY;

	if (ml_check_is_share(check->kind) && (!found->has_high || found->has_low))
		refuse(found, found->has_high ? "has a \"low\"" : "has no \"high\"",
			   "A share of rows has one bound, which it must not exceed.", "As in \"high\": 0.1.");
	if (check->kind == ML_CHECK_RANGE && !found->has_low && !found->has_high)
		refuse(found, "has neither \"low\" nor \"high\"", "A range has at least one bound.", EXAMPLE);
	check_bounds(found, low, high);
	if (ml_check_is_share(check->kind) && check->ncolumns == 0)
		name_all_columns(found);
	for (int i = 0; i < check->ncolumns; i++)
	{
		check->column[i].low = low;
		check->column[i].high = high;
	}
}

/* ---- a check ---- */

static void
take_name(Found *found, const JsonbValue *value)
{
	if (value->type != jbvString || value->val.string.len == 0)
		refuse_value(found, "name", value, "It must be a string that is not empty.");
	if (value->val.string.len >= NAMEDATALEN)
		refuse(found, "has a name that is too long",
			   psprintf("It has %d bytes; at most %d are kept.", value->val.string.len, NAMEDATALEN - 1), "Shorten it.");
	found->check->name = ml_json_string(value);
}

static void
take_key(void *arg, char *key, JsonbValue *value)
{
	static const char *const names[] = {"name", "check", "column", "columns", "low", "high", "bounds", "severity", "reason"};
	Found	   *found = arg;

	if (strcmp(key, "check") == 0)
	{
		found->check->kind = (MlCheckKind) find_name(found, key, value, kind_names, lengthof(kind_names));
		found->has_kind = true;
	}
	else if (strcmp(key, "severity") == 0)
	{
		found->check->severity = (MlSeverity) find_name(found, key, value, severity_names, lengthof(severity_names));
		found->has_severity = true;
	}
	else if (strcmp(key, "column") == 0 || strcmp(key, "columns") == 0)
	{
		if (found->has_columns)
			refuse(found, "has \"column\" and \"columns\"", "One of them names all columns.", "Leave one out.");
		found->has_columns = true;
		if (key[strlen("column")] != '\0')
		{
			take_columns(found, value);
			return;
		}
		found->check->column = palloc0(sizeof(MlCheckColumn));
		add_column(found, value);
	}
	else if (strcmp(key, "low") == 0)
	{
		found->low = bound_of(found, key, value);
		found->has_low = true;
	}
	else if (strcmp(key, "high") == 0)
	{
		found->high = bound_of(found, key, value);
		found->has_high = true;
	}
	else if (strcmp(key, "bounds") == 0)
	{
		found->bounds = *value;
		found->has_bounds = true;
	}
	else if (strcmp(key, "reason") == 0)
	{
		if (value->type != jbvString)
			refuse_value(found, key, value, "It must be a string; it is for readers.");
	}
	else if (strcmp(key, "name") != 0)
		ml_rules_refuse_key(psprintf("check %d", found->number), key, names, lengthof(names));
}

static void
check_severity(Found *found)
{
	MlCheck    *check = found->check;
	bool		share = ml_check_is_share(check->kind);

	if (!found->has_severity)
		check->severity = share ? ML_SEVERITY_DRIFT : ML_SEVERITY_SOFT;
	if (share != (check->severity == ML_SEVERITY_DRIFT))
		refuse(found, psprintf("has the severity \"%s\"", severity_names[check->severity]),
			   share ? "A share is one of rows over a period: no row of its own fails it." :
			   "It is a check of each row, which is hard or soft; shares of rows over a period are watched.",
			   share ? "Give it the severity \"drift\"." : "Use \"missing_share\" or \"unseen_share\" to watch a share.");
}

static void
read_check(Found *found, JsonbValue *value)
{
	MlCheck    *check = found->check;
	JsonbValue	name;
	Jsonb	   *object;

	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		ml_rules_refuse(psprintf("check %d is %s", found->number, ml_json_show(value)), "A check is an object.", EXAMPLE);
	object = JsonbValueToJsonb(value);
	if (ml_json_find(object, "name", &name))
		take_name(found, &name);
	ml_json_each(object, take_key, found);
	if (check->name == NULL || !found->has_kind)
		refuse(found, psprintf("has no \"%s\"", check->name == NULL ? "name" : "check"),
			   "A check has a name and a kind.", EXAMPLE);
	check_severity(found);
	if (check->kind == ML_CHECK_FINITE && (found->has_columns || found->has_bounds))
		refuse(found, "is of a column", "Checks of kind \"finite\" are of what the model answers.", "Leave the column out.");
	if (check->kind == ML_CHECK_RANGE && !found->has_columns && !found->has_bounds)
		refuse(found, "is of no column", "A range is one of a column.", EXAMPLE);
	if (check->kind != ML_CHECK_RANGE && !ml_check_is_share(check->kind) &&
		(found->has_bounds || found->has_low || found->has_high))
		refuse(found, "has bounds", psprintf("Checks of kind \"%s\" have none.", kind_names[check->kind]), "Leave them out.");
	if (found->has_bounds)
		take_bounds(found);
	else if (check->kind == ML_CHECK_RANGE || ml_check_is_share(check->kind))
		set_bounds(found);
	for (int i = 0; i < check->ncolumns; i++)
		check_column(found, &check->column[i]);
}

void
ml_checks_read(Jsonb *checks, const MlModel *model, MlRuleProgram *program)
{
	int			n = JB_ROOT_COUNT(checks);

	if (!JB_ROOT_IS_ARRAY(checks) || JB_ROOT_IS_SCALAR(checks))
		ml_rules_refuse(psprintf("the checks are %s", ml_json_show_jsonb(checks)), "They are a list of checks.", EXAMPLE);
	if (n > ML_MAX_CHECKS || (n == 0 && program->nrules == 0))
		ml_rules_refuse(psprintf("the rule set has %d checks", n), psprintf("It can have 1 to %d.", ML_MAX_CHECKS),
						n == 0 ? "Give rules or checks." : "A check can be of many columns: \"columns\", or \"bounds\" for their ranges.");
	program->check = palloc0(sizeof(MlCheck) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		Found		found = {.model = model, .program = program, .check = &program->check[i], .number = i + 1};

		read_check(&found, getIthJsonbValueFromContainer(&checks->root, i));
		for (int other = 0; other < i; other++)
			if (strcmp(program->check[other].name, program->check[i].name) == 0)
				ml_rules_refuse(psprintf("there are two checks \"%s\"", program->check[i].name),
								"Checks are told apart by their names.", "Rename one.");
		program->nchecks = i + 1;
	}
}

/* ---- another version ---- */

static void
require_column(const MlRuleProgram *program, const MlCheck *check, const char *column, int number, const MlModel *model,
			   const char *name, int version)
{
	const MlRecipe *recipe = ml_model_input_recipe(model);
	int			f = ml_recipe_find(recipe, column);

	if (f < 0 && check->kind == ML_CHECK_TYPE && is_declared(program, column))
		return;
	if (f < 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("rule set %d of model \"%s\" does not suit version %d", number, name, version),
				 errdetail("Its check \"%s\" is of column \"%s\", which the version does not read.", check->name, column),
				 errhint("Create the checks again for this version; mlops_propose_checks('%s/%d') proposes some.", name, version)));
	if (misfit(check->kind, &recipe->features[f]) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("rule set %d of model \"%s\" does not suit version %d", number, name, version),
				 errdetail("Its check \"%s\" of kind \"%s\" does not fit column \"%s\", which the version was trained on as %s.",
						   check->name, kind_names[check->kind], column, recipe->features[f].type_name),
				 errhint("Create the checks again for this version.")));
}

void
ml_checks_require(const MlRuleProgram *program, int number, const MlModel *model, const char *name, int version)
{
	for (int i = 0; i < program->nchecks; i++)
		for (int c = 0; c < program->check[i].ncolumns; c++)
			require_column(program, &program->check[i], program->check[i].column[c].name, number, model, name, version);
}
