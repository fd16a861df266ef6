/*
 * explain.c
 *		mlops_explain: what each feature adds to the score of one row.
 *
 * Contributions are to the linear predictor of an output: to the value itself
 * for regression, to log-odds for a logit link, to a class's score for several
 * classes. They and the base add up to it, before link and calibration. How
 * they come about is the predictor's matter: coefficients times values, or
 * Shapley values of trees. A check that failed and a rule that fired have rows
 * of their own, without contribution.
 */
#include "postgres.h"

#include "common/shortest_dec.h"
#include "datatype/timestamp.h"
#include "errors.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "result.h"
#include "score/score.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/float.h"

#define ARG_CLASS		2
#define ARG_KEY			3
#define EXPLAIN_COLUMNS 3		/* feature, value, contribution */
#define BASE_NAME		"(base)"

/* ---- which output ---- */

ml_noreturn static void refuse_class(const MlScorer *scorer, const char *class);

static void
refuse_class(const MlScorer *scorer, const char *class)
{
	const MlTarget *target = &scorer->model->recipe->target;
	StringInfoData list;
	MlNearest	nearest;

	if (target->nclasses == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\" has no class \"%s\"", scorer->resolved.model, class),
				 errdetail("Version %d does not predict classes.", scorer->resolved.version),
				 errhint("Leave the argument \"class\" out.")));
	initStringInfo(&list);
	ml_nearest_begin(&nearest, class);
	for (int i = 0; i < target->nclasses; i++)
	{
		appendStringInfo(&list, "%s\"%s\"", i == 0 ? "" : ", ", target->class_label[i]);
		ml_nearest_offer(&nearest, target->class_label[i]);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("model \"%s\" has no class \"%s\"", scorer->resolved.model, class),
			 errdetail("The classes of version %d are %s.", scorer->resolved.version, list.data),
			 nearest.best ? errhint("Perhaps you meant \"%s\".", nearest.best) :
			 errhint("Name one of them, or leave the argument \"class\" out.")));
}

static int
find_class(const MlScorer *scorer, const char *class)
{
	const MlTarget *target = &scorer->model->recipe->target;

	for (int i = 0; i < target->nclasses; i++)
		if (strcmp(target->class_label[i], class) == 0)
			return i;
	refuse_class(scorer, class);
}

/*
 * The class to explain: the one that is asked for; else the positive one of
 * two, the predicted one of several. -1: there are no classes.
 */
static int
class_of(FunctionCallInfo fcinfo, const MlScorer *scorer, const double *output)
{
	const MlTarget *target = &scorer->model->recipe->target;

	if (!PG_ARGISNULL(ARG_CLASS))
		return find_class(scorer, text_to_cstring(PG_GETARG_TEXT_PP(ARG_CLASS)));
	if (target->nclasses == 0)
		return -1;
	return target->task == ML_TASK_BINARY ? target->positive :
		ml_model_class(scorer->model, output, scorer->resolved.threshold);
}

/* ---- values ---- */

static char *
number_text(double value)
{
	char	   *text = (char *) palloc(DOUBLE_SHORTEST_DECIMAL_LEN);

	double_to_shortest_decimal_buf(value, text);
	return text;
}

/* ISO 8601 whatever DateStyle says; a timestamptz in UTC */
static char *
calendar_text(const MlFeature *feature, double seconds)
{
	char		text[MAXDATELEN + 1];
	Timestamp	at = (int64) (seconds * USECS_PER_SEC) -
		(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
	struct pg_tm tm;
	fsec_t		fsec;

	if (timestamp2tm(at, NULL, &tm, &fsec, NULL, NULL) != 0)
		return number_text(seconds);
	tm.tm_isdst = 0;			/* negative would leave the zone out */
	if (strcmp(feature->type_name, "date") == 0)
		EncodeDateOnly(&tm, USE_ISO_DATES, text);
	else
		EncodeDateTime(&tm, fsec, feature->zoned, 0, NULL, USE_ISO_DATES, text);
	return pstrdup(text);
}

static char *
time_text(const MlFeature *feature, const double *part)
{
	int			i = 0;
	double		seconds;

	while (i < feature->nnumbers && feature->parts[i] != ML_PART_EPOCH)
		i++;
	if (i == feature->nnumbers || isnan(part[i]))
		return NULL;
	seconds = part[i];
	if (ml_time_group(feature) == ML_TIME_LENGTH)
		return psprintf("PT%sS", number_text(seconds));
	if (ml_time_group(feature) == ML_TIME_OF_DAY && seconds >= 0 && seconds <= SECS_PER_DAY)
		return psprintf("%02d:%02d:%02d", (int) seconds / SECS_PER_HOUR,
						(int) seconds / SECS_PER_MINUTE % MINS_PER_HOUR, (int) seconds % SECS_PER_MINUTE);
	if (fabs(seconds) > (double) (END_TIMESTAMP / USECS_PER_SEC))
		return number_text(seconds);
	return calendar_text(feature, seconds);
}

static char *
array_text(const MlFeature *feature, const double *element)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < feature->nnumbers; i++)
		appendStringInfo(&text, "%c%s", i == 0 ? '{' : ',', isnan(element[i]) ? "NULL" : number_text(element[i]));
	appendStringInfoString(&text, feature->nnumbers == 0 ? "{}" : "}");
	return text.data;
}

/* the value of a feature as the model saw it; NULL: missing */
static char *
value_text(const MlFeature *feature, const MlRow *row)
{
	const double *number = row->number + feature->first_number;
	int32		code;

	switch (feature->kind)
	{
		case ML_KIND_NUMBER:
			if (isnan(*number))
				return NULL;
			if (strcmp(feature->type_name, "boolean") == 0 && (*number == 0 || *number == 1))
				return *number == 1 ? "true" : "false";
			return number_text(*number);
		case ML_KIND_TIME:
			return time_text(feature, number);
		case ML_KIND_ARRAY:
			return array_text(feature, number);
		default:
			code = row->code[feature->category];
			if (code == ML_CODE_MISSING(feature))
				return NULL;
			return code == ML_CODE_POOL(feature) ? "(other)" : feature->level[code];
	}
}

/* ---- rows ---- */

static void
add_row(MlRows *rows, const char *feature, const char *value, double contribution)
{
	Datum		values[EXPLAIN_COLUMNS];
	bool		isnull[EXPLAIN_COLUMNS];

	ml_rows_text(values, isnull, 0, feature);
	ml_rows_text(values, isnull, 1, value);
	ml_rows_number(values, isnull, 2, contribution);
	ml_rows_add(rows, values, isnull);
}

/*
 * Of two classes the model scores the positive one: the other's log-odds are
 * the negative, its share of votes is what is left of 1.
 */
static void
turn_around(const MlScorer *scorer, double *contribution, double *base)
{
	MlLink		link = ml_model_link(scorer->model);

	if (link == ML_LINK_IDENTITY)
		*base = 1 - *base;
	else
		*base = -*base;
	for (int f = 0; f < scorer->model->recipe->nfeatures; f++)
		contribution[f] = 0 - contribution[f];
}

static void
explain_row(FunctionCallInfo fcinfo, const MlScorer *scorer, const double *output, MlRows *rows)
{
	const MlModel *model = scorer->model;
	const MlRecipe *recipe = model->recipe;
	double	   *contribution = (double *) palloc(sizeof(double) * Max(recipe->nfeatures, 1));
	int			class = class_of(fcinfo, scorer, output);
	bool		several = recipe->target.task == ML_TASK_MULTICLASS;
	double		base;
	MlRow		own;
	const MlRow *row = ml_model_own_row(model, &scorer->row, scorer->work, &own);

	model->routine->explain(model->predictor, recipe, row, several ? class : 0, contribution, &base);
	if (recipe->target.task == ML_TASK_BINARY && class != recipe->target.positive)
		turn_around(scorer, contribution, &base);
	add_row(rows, BASE_NAME, NULL, base);
	for (int f = 0; f < recipe->nfeatures; f++)
		add_row(rows, recipe->features[f].name, value_text(&recipe->features[f], row), contribution[f]);
}

/* what a rule does, in the words of its "then" */
static char *
action_text(const MlRule *rule)
{
	switch (rule->action)
	{
		case ML_RULE_SET:
			return psprintf("set %s", number_text(rule->low));
		case ML_RULE_CLIP:
			return psprintf("clip %s to %s", number_text(rule->low), number_text(rule->high));
		case ML_RULE_LABEL:
			return psprintf("label %s", rule->label.bytes);
		case ML_RULE_SUPPRESS:
			return pstrdup("suppress");
		case ML_RULE_USE:
			break;
	}
	return rule->version == ML_RULE_FALLBACK ? pstrdup("use fallback") : psprintf("use version %d", rule->version);
}

/* what a check that failed did, and by which columns if it is of several */
static const char *
check_text(const MlAnswer *answer, int i)
{
	const MlScorerRules *own = answer->scorer->rules;
	const MlScorer *fallback = own->fallback;
	const char *columns = ml_checks_culprits(own->checks, UINT64CONST(1) << i, &answer->scorer->row);
	const char *did = "soft";

	if (own->program->check[i].severity == ML_SEVERITY_HARD)
		did = fallback == NULL || !fallback->current ? "hard: there is no fallback" :
			psprintf("hard: fallback, version %d", fallback->resolved.version);
	return columns ? psprintf("%s (%s)", did, columns) : did;
}

/*
 * A row for each check that failed and each rule that fired, without
 * contribution: the others still add up to the model's own score.
 */
static void
explain_rules(const MlAnswer *answer, MlRows *rows)
{
	const MlScorerRules *own = answer->scorer->rules;
	const MlRuleProgram *program = own->program;

	for (int i = 0; i < program->nchecks; i++)
		if (answer->failed & (UINT64CONST(1) << i))
			add_row(rows, psprintf("(check %s)", program->check[i].name), check_text(answer, i), get_float8_nan());
	for (int i = 0; answer->ruled && i < program->nrules; i++)
		if (own->fired.rules & (UINT64CONST(1) << i))
			add_row(rows, psprintf("(rule %s)", program->rule[i].name), action_text(&program->rule[i]), get_float8_nan());
}

ml_noreturn static void refuse_algorithm(const MlScorer *scorer);

static void
refuse_algorithm(const MlScorer *scorer)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("scores of model \"%s\" cannot be explained", scorer->resolved.model),
			 errdetail("Version %d is of algorithm \"%s\", whose scores are no sum of what features add.",
					   scorer->resolved.version, scorer->model->algorithm),
			 errhint("See mlops_importance(model), or mlops_permutation_importance(model, source), for the features that matter.")));
}

/* By the side that answers; no rows for a row that scores NULL, but for checks that failed and rules that fired. */
static Datum
explain(FunctionCallInfo fcinfo, MlInput input)
{
	MlScorer   *scorer = ml_score_resolve(fcinfo, ML_RESULT_ANY, ml_score_reference(fcinfo));
	MlScoreInput how = {.fcinfo = fcinfo, .input = input, .key_argument = ARG_KEY};
	MlAnswer	answer;
	MlRows		rows;

	ml_score_answer(scorer, &how, ML_RESULT_ANY, &answer);
	if (answer.scorer->model->routine->explain == NULL)
		refuse_algorithm(answer.scorer);
	ml_rows_begin(fcinfo, &rows);
	if (answer.output != NULL && !isnan(answer.output[0]))
		explain_row(fcinfo, answer.scorer, answer.output, &rows);
	if (answer.is_row && answer.scorer->rules != NULL)
		explain_rules(&answer, &rows);
	return (Datum) 0;
}

#define EXPLAIN(name, input) \
PG_FUNCTION_INFO_V1(name); \
Datum \
name(PG_FUNCTION_ARGS) \
{ \
	return explain(fcinfo, input); \
}

EXPLAIN(mlops_explain_record, ML_INPUT_RECORD)
EXPLAIN(mlops_explain_json, ML_INPUT_JSON)
EXPLAIN(mlops_explain_jsonb, ML_INPUT_JSONB)
EXPLAIN(mlops_explain_text, ML_INPUT_TEXT)
EXPLAIN(mlops_explain_array, ML_INPUT_ARRAY)
