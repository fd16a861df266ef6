/*
 * read_rules.c
 *		Rule sets as users write them: JSON to a program.
 *
 *		[{"name": "new customers", "when": "tenure < 1 AND prediction > 0.9",
 *		  "then": {"clip": [0, 0.9]}, "stop": true}, ...]
 *
 * or an object {"rules": [...], "columns": {"country": "text"}, "time_zone": "UTC"}.
 * What is written is read back at once, as artifacts are: no rule set is kept
 * that could not be loaded.
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "json.h"
#include "lib/stringinfo.h"
#include "model/format.h"
#include "pgtime.h"
#include "rule/compile.h"
#include "utils/builtins.h"

/* a rule as it was found in JSON */
typedef struct Found
{
	MlRule	   *rule;
	int			number;			/* from 1, for messages */
	MlTask		task;
	char	   *when;
	bool		has_action;
} Found;

/* ---- refusing ---- */

void
ml_rules_refuse(const char *message, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg_internal("%s", message),
			 detail ? errdetail_internal("%s", detail) : 0,
			 errhint("%s", hint)));
}

#define EXAMPLE "As in [{\"name\": \"cap\", \"when\": \"prediction > 0.9\", \"then\": {\"set\": 0.9}}]."

void
ml_rules_refuse_key(const char *what, const char *key, const char *const *known, int n)
{
	StringInfoData list;
	MlNearest	nearest;

	initStringInfo(&list);
	ml_nearest_begin(&nearest, key);
	for (int i = 0; i < n; i++)
	{
		appendStringInfo(&list, "%s\"%s\"", i == 0 ? "" : ", ", known[i]);
		ml_nearest_offer(&nearest, known[i]);
	}
	ml_rules_refuse(psprintf("%s has no key \"%s\"", what, key), psprintf("The keys are %s.", list.data),
					nearest.best ? psprintf("Perhaps you meant \"%s\".", nearest.best) : "Leave it out.");
}

static bool
is_object(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data);
}

static bool
is_list(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data) &&
		!JsonContainerIsScalar(value->val.binary.data);
}

/* ---- then ---- */

static void
require_number_task(const Found *found, const char *key)
{
	if (found->task == ML_TASK_REGRESSION || found->task == ML_TASK_BINARY || found->task == ML_TASK_ANOMALY)
		return;
	ml_rules_refuse(psprintf("rule %d cannot \"%s\"", found->number, key), "The model does not predict a number that could be changed.",
					"Use \"label\", \"suppress\" or \"use\".");
}

static double
bound(const Found *found, const char *key, const JsonbValue *value)
{
	double		number = value->type == jbvNumeric ? ml_json_number(value) : NAN;

	if (!isfinite(number))
		ml_rules_refuse(psprintf("\"%s\" of rule %d is %s", key, found->number, ml_json_show(value)), "It must be a finite number.", EXAMPLE);
	if (found->task == ML_TASK_BINARY && !(number >= 0 && number <= 1))
		ml_rules_refuse(psprintf("\"%s\" of rule %d is %s", key, found->number, ml_json_show(value)),
						"The model predicts a probability, from 0 to 1.", "Give a probability.");
	return number;
}

static void
take_clip(Found *found, const JsonbValue *value)
{
	MlRule	   *rule = found->rule;

	if (!is_list(value) || JsonContainerSize(value->val.binary.data) != 2)
		ml_rules_refuse(psprintf("\"clip\" of rule %d is %s", found->number, ml_json_show(value)), "It must be a list of two numbers.",
						"As in {\"clip\": [0, 0.9]}.");
	rule->low = bound(found, "clip", getIthJsonbValueFromContainer(value->val.binary.data, 0));
	rule->high = bound(found, "clip", getIthJsonbValueFromContainer(value->val.binary.data, 1));
	if (rule->low > rule->high)
		ml_rules_refuse(psprintf("\"clip\" of rule %d is %s", found->number, ml_json_show(value)), "The first number is above the second.",
						"Exchange them.");
}

static void
take_label(Found *found, const JsonbValue *value)
{
	if (found->task != ML_TASK_BINARY && found->task != ML_TASK_MULTICLASS && found->task != ML_TASK_CLUSTER)
		ml_rules_refuse(psprintf("rule %d cannot \"label\"", found->number), "The model predicts a number, not a class.",
						"Use \"set\", \"clip\", \"suppress\" or \"use\".");
	if (value->type != jbvString || value->val.string.len > ML_MAX_NAME)
		ml_rules_refuse(psprintf("\"label\" of rule %d is %s", found->number, ml_json_show(value)),
						psprintf("It must be a string of at most %d bytes.", ML_MAX_NAME), "As in {\"label\": \"review\"}.");
	found->rule->label.bytes = ml_json_string(value);
	found->rule->label.length = value->val.string.len;
}

static void
take_version(Found *found, const JsonbValue *value)
{
	double		number = value->type == jbvNumeric ? ml_json_number(value) : NAN;

	if (value->type == jbvString && value->val.string.len == strlen("fallback") &&
		memcmp(value->val.string.val, "fallback", strlen("fallback")) == 0)
		found->rule->version = ML_RULE_FALLBACK;
	else if (number >= 1 && number <= PG_INT32_MAX && rint(number) == number)
		found->rule->version = (int) number;
	else
		ml_rules_refuse(psprintf("\"use\" of rule %d is %s", found->number, ml_json_show(value)),
						"It must be the number of a version, or \"fallback\".", "As in {\"use\": 7} or {\"use\": \"fallback\"}.");
}

static void
take_then(void *arg, char *key, JsonbValue *value)
{
	static const char *const names[] = {"set", "clip", "label", "suppress", "use"};
	Found	   *found = arg;
	int			action = 0;

	while (action < lengthof(names) && strcmp(names[action], key) != 0)
		action++;
	if (action == lengthof(names))
		ml_rules_refuse_key(psprintf("\"then\" of rule %d", found->number), key, names, lengthof(names));
	if (found->has_action)
		ml_rules_refuse(psprintf("\"then\" of rule %d has several actions", found->number), "A rule does one thing.",
						"Write two rules with the same condition.");
	found->has_action = true;
	found->rule->action = (MlRuleAction) action;
	if (action <= ML_RULE_CLIP)
		require_number_task(found, key);
	if (action == ML_RULE_SET)
		found->rule->low = found->rule->high = bound(found, key, value);
	else if (action == ML_RULE_CLIP)
		take_clip(found, value);
	else if (action == ML_RULE_LABEL)
		take_label(found, value);
	else if (action == ML_RULE_USE)
		take_version(found, value);
	else if (value->type != jbvBool || !value->val.boolean)
		ml_rules_refuse(psprintf("\"suppress\" of rule %d is %s", found->number, ml_json_show(value)), "It must be true.",
						"Leave the rule out if nothing is to be suppressed.");
}

/* ---- a rule ---- */

static char *
string_of(const Found *found, const char *key, const JsonbValue *value)
{
	if (value->type != jbvString || value->val.string.len == 0)
		ml_rules_refuse(psprintf("\"%s\" of rule %d is %s", key, found->number, ml_json_show(value)), "It must be a string.", EXAMPLE);
	return ml_json_string(value);
}

static void
take_rule(void *arg, char *key, JsonbValue *value)
{
	static const char *const names[] = {"name", "when", "then", "stop"};
	Found	   *found = arg;

	if (strcmp(key, "name") == 0)
	{
		found->rule->name = string_of(found, key, value);
		if (strlen(found->rule->name) >= NAMEDATALEN)
			ml_rules_refuse(psprintf("the name of rule %d is too long", found->number),
							psprintf("It has %zu bytes; at most %d are kept.", strlen(found->rule->name), NAMEDATALEN - 1), "Shorten it.");
	}
	else if (strcmp(key, "when") == 0)
		found->when = string_of(found, key, value);
	else if (strcmp(key, "then") == 0)
	{
		if (!is_object(value))
			ml_rules_refuse(psprintf("\"then\" of rule %d is %s", found->number, ml_json_show(value)), "It must be an object of one key.", EXAMPLE);
		ml_json_each(JsonbValueToJsonb(value), take_then, found);
	}
	else if (strcmp(key, "stop") == 0)
	{
		if (value->type != jbvBool)
			ml_rules_refuse(psprintf("\"stop\" of rule %d is %s", found->number, ml_json_show(value)), "It must be true or false.", EXAMPLE);
		found->rule->stop = value->val.boolean;
	}
	else
		ml_rules_refuse_key(psprintf("rule %d", found->number), key, names, lengthof(names));
}

static void
say_which_rule(void *arg)
{
	errcontext("condition of rule \"%s\"", ((const MlRuleMaker *) arg)->rule->name);
}

static void
compile(MlRuleMaker *maker, MlRule *rule, const char *when)
{
	ErrorContextCallback context;

	maker->rule = rule;
	maker->condition = when;
	maker->depth = maker->stack = maker->step_size = 0;
	context.callback = say_which_rule;
	context.arg = maker;
	context.previous = error_context_stack;
	error_context_stack = &context;
	ml_rule_emit_condition(maker, ml_rule_expr_of(maker, ml_rule_parse(maker), ML_RULE_BOOL, "a condition"));
	error_context_stack = context.previous;
}

static void
read_rule(MlRuleMaker *maker, MlRule *rule, int number, JsonbValue *value)
{
	Found		found = {.rule = rule, .number = number, .task = maker->names->task};
	const MlRuleProgram *program = maker->program;

	if (!is_object(value))
		ml_rules_refuse(psprintf("rule %d is %s", number, ml_json_show(value)), "A rule is an object.", EXAMPLE);
	ml_json_each(JsonbValueToJsonb(value), take_rule, &found);
	if (rule->name == NULL || found.when == NULL || !found.has_action)
		ml_rules_refuse(psprintf("rule %d has no \"%s\"", number, rule->name == NULL ? "name" : found.when == NULL ? "when" : "then"),
						"A rule has a name, a condition and what to do.", EXAMPLE);
	for (const MlRule *other = program->rule; other < rule; other++)
		if (strcmp(other->name, rule->name) == 0)
			ml_rules_refuse(psprintf("there are two rules \"%s\"", rule->name), "Rules are told apart by their names.", "Rename one.");
	compile(maker, rule, found.when);
}

/* ---- columns ---- */

/* a declaration of a feature says that other versions, which do not read it, find it in the row as well */
static void
take_column(void *arg, char *key, JsonbValue *value)
{
	MlRuleNames *names = arg;
	char	   *type = value->type == jbvString ? ml_json_string(value) : "";
	MlRuleType	found = ml_rule_type_find(type);
	int			i = 0;

	if (found == ML_RULE_UNKNOWN)
		ml_rules_refuse(psprintf("type of column \"%s\" is %s", key, ml_json_show(value)),
						"Types of columns in rules are number, boolean, text, timestamp and timestamptz.", "As in {\"country\": \"text\"}.");
	if (key[0] == '\0' || strlen(key) >= NAMEDATALEN)
		ml_rules_refuse("a column is declared without name, or with one that is too long", psprintf("Its name is \"%s\".", key),
						"Name a column of the input.");
	while (i < names->ncolumns && strcmp(names->column[i].name, key) != 0)
		i++;
	if (i < names->ncolumns && (names->column[i].type != found || (names->refused && names->refused[i])))
		ml_rules_refuse(psprintf("column \"%s\" is of another type", key),
						psprintf("The model was trained on it as %s.", names->refused && names->refused[i] ? "what rules cannot hold" :
								 ml_rule_type_name(names->column[i].type)),
						"Leave the declaration out.");
	if (i < names->ncolumns)
	{
		names->column[i].declared = true;
		return;
	}
	if (names->ncolumns == ML_RULE_MAX_COLUMNS)
		ml_rules_refuse("too many columns are declared", psprintf("At most %d can be.", ML_RULE_MAX_COLUMNS), "Declare those that are used.");
	names->column[i].name = key;
	names->column[i].type = found;
	names->column[i].declared = true;
	if (names->refused)
		names->refused[i] = NULL;
	names->ncolumns++;
}

/* the features with room for what is declared */
static void
copy_names(const MlRuleNames *features, MlRuleNames *names)
{
	*names = *features;
	names->column = palloc0(sizeof(MlRuleColumn) * (ML_RULE_MAX_COLUMNS + features->ncolumns));
	names->refused = palloc0(sizeof(char *) * (ML_RULE_MAX_COLUMNS + features->ncolumns));
	for (int i = 0; i < features->ncolumns; i++)
	{
		names->column[i] = features->column[i];
		names->refused[i] = features->refused ? features->refused[i] : NULL;
	}
}

/* ---- the whole ---- */

typedef struct Document
{
	MlRuleNames *names;
	JsonbValue	rules;
	bool		has_rules;
} Document;

static void
take_part(void *arg, char *key, JsonbValue *value)
{
	static const char *const names[] = {"rules", "columns", "time_zone"};
	Document   *document = arg;

	if (strcmp(key, "rules") == 0)
	{
		document->rules = *value;
		document->has_rules = true;
	}
	else if (strcmp(key, "columns") == 0)
	{
		if (!is_object(value))
			ml_rules_refuse(psprintf("\"columns\" is %s", ml_json_show(value)), "It must be an object of names and types.",
							"As in {\"country\": \"text\"}.");
		ml_json_each(JsonbValueToJsonb(value), take_column, document->names);
	}
	else if (strcmp(key, "time_zone") == 0)
	{
		if (value->type != jbvString || pg_tzset(ml_json_string(value)) == NULL)
			ml_rules_refuse(psprintf("\"time_zone\" is %s", ml_json_show(value)), "There is no such time zone.", "As in \"Europe/Paris\".");
		document->names->time_zone = ml_json_string(value);
	}
	else
		ml_rules_refuse_key("a rule set", key, names, lengthof(names));
}

static void
begin(MlRuleMaker *maker, const MlRuleNames *names, int nrules)
{
	memset(maker, 0, sizeof(MlRuleMaker));
	maker->names = names;
	maker->program = palloc0(sizeof(MlRuleProgram));
	maker->program->task = names->task;
	maker->program->time_zone = pstrdup(names->time_zone);
	maker->program->zone = maker->zone = pg_tzset(names->time_zone);
	maker->program->column = palloc0(sizeof(MlRuleColumn) * Max(names->ncolumns, 1));
	maker->program->rule = palloc0(sizeof(MlRule) * Max(nrules, 1));
	maker->column_of = palloc(sizeof(int) * Max(names->ncolumns, 1));
	for (int i = 0; i < names->ncolumns; i++)
		maker->column_of[i] = -1;

	/* what is declared is in every row that is scored: versions that rules use may need it */
	for (int i = 0; i < names->ncolumns; i++)
		if (names->column[i].declared)
			(void) ml_rule_use_column(maker, i);
}

static MlRuleProgram *
finish(MlRuleMaker *maker, bytea **result)
{
	bytea	   *bytes = ml_rules_write(maker->program);

	if (VARSIZE_ANY_EXHDR(bytes) > ML_RULE_MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the rule set is too large"),
				 errdetail("Its program has %zu bytes; at most %d are kept.", (Size) VARSIZE_ANY_EXHDR(bytes), ML_RULE_MAX_BYTES),
				 errhint("Use fewer rules, or shorter lists.")));
	*result = bytes;
	return ml_rules_load(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
}

/* the list of rules, and what else the document says into names */
static JsonbContainer *
find_list(Jsonb *rules, MlRuleNames *names)
{
	Document	document = {.names = names};

	if (JB_ROOT_IS_OBJECT(rules))
	{
		ml_json_each(rules, take_part, &document);
		if (!document.has_rules || !is_list(&document.rules))
			ml_rules_refuse("the rule set has no list of rules", "An object has it as \"rules\".", EXAMPLE);
		return document.rules.val.binary.data;
	}
	if (!JB_ROOT_IS_ARRAY(rules) || JB_ROOT_IS_SCALAR(rules))
		ml_rules_refuse(psprintf("the rule set is %s", ml_json_show_jsonb(rules)), "It is a list of rules, or an object with one.", EXAMPLE);
	return &rules->root;
}

MlRuleProgram *
ml_rules_read(Jsonb *rules, Jsonb *checks, const MlModel *model, bytea **bytes)
{
	MlRuleNames features;
	MlRuleNames names;
	MlRuleMaker maker;
	JsonbContainer *list;
	int			n;

	ml_rule_features(model, &features);
	copy_names(&features, &names);
	list = find_list(rules, &names);
	n = JsonContainerSize(list);
	if ((n < 1 && checks == NULL) || n > ML_MAX_RULES)
		ml_rules_refuse(psprintf("the rule set has %d rules", n), psprintf("It can have 1 to %d.", ML_MAX_RULES),
						n == 0 ? "mlops_promote(model, version, rules => 0) serves without rules." : "Put conditions together with OR.");
	begin(&maker, &names, n);
	for (int i = 0; i < n; i++)
	{
		maker.program->nrules = i + 1;
		read_rule(&maker, &maker.program->rule[i], i + 1, getIthJsonbValueFromContainer(list, i));
	}
	if (checks != NULL)
		ml_checks_read(checks, model, maker.program);
	return finish(&maker, bytes);
}

MlRuleProgram *
ml_rule_expression(const char *text, Jsonb *columns, MlRuleType *type)
{
	MlRuleNames none = {.task = ML_TASK_REGRESSION, .time_zone = "UTC"};
	MlRuleNames names;
	MlRuleMaker maker;
	MlRuleExpr *expr;
	bytea	   *bytes;

	copy_names(&none, &names);
	ml_json_each(columns, take_column, &names);
	begin(&maker, &names, 1);
	maker.program->nrules = 1;
	maker.rule = &maker.program->rule[0];
	maker.rule->name = "";
	maker.condition = text;
	expr = ml_rule_expr(&maker, ml_rule_parse(&maker));
	if (expr->type == ML_RULE_UNKNOWN)
		expr = ml_expr_coerce(&maker, expr, ML_RULE_TEXT);
	*type = expr->type;
	ml_rule_emit(&maker, expr);
	return finish(&maker, &bytes);
}
