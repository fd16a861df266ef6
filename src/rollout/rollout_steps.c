/*
 * rollout_steps.c
 *		The stages of a rollout as they are given: a JSON array of objects.
 */
#include "postgres.h"

#include <math.h>

#include "attempt.h"
#include "deploy/ask.h"
#include "errors.h"
#include "fmgr.h"
#include "json.h"
#include "log/log.h"
#include "rollout/rollout.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "watch/live.h"

#define MOST_STEPS	100
#define EXAMPLE "[{\"name\": \"first\", \"share\": 0.05, \"min_time\": \"1 day\", \"min_rows\": 1000}, {\"share\": 1}]"

static const char *const keys[] = {"name", "share", "min_time", "min_rows", "min_outcomes", "gates", "compare"};

/* the step that is read, for words */
typedef struct Reading
{
	const char *model;
	int			number;
	MlRolloutStep *step;
	bool		conditions;		/* it asks for something */
} Reading;

ml_noreturn static void refuse(const Reading *reading, const char *detail);

static void
refuse(const Reading *reading, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("step %d of the rollout cannot be done so", reading->number),
			 errdetail_internal("%s", detail),
			 errhint("As in '%s'.", EXAMPLE)));
}

static void
refuse_value(const Reading *reading, const char *key, const JsonbValue *value, const char *needed)
{
	refuse(reading, psprintf("\"%s\" is %s; %s.", key, ml_json_show(value), needed));
}

static char *
take_text(const Reading *reading, const char *key, const JsonbValue *value)
{
	if (value->type != jbvString || value->val.string.len == 0)
		refuse_value(reading, key, value, "it must be a text");
	return ml_json_string(value);
}

static double
take_share(const Reading *reading, const JsonbValue *value)
{
	double		share = value->type == jbvNumeric ? ml_json_number(value) : NAN;

	if (!(share > 0 && share <= 1))
		refuse_value(reading, "share", value, "it must be a number above 0 and at most 1");
	return share;
}

static int64
take_count(const Reading *reading, const char *key, const JsonbValue *value)
{
	double		count = value->type == jbvNumeric ? ml_json_number(value) : NAN;

	if (!(count >= 0 && count <= 1e15) || count != floor(count))
		refuse_value(reading, key, value, "it must be a whole number, 0 or more");
	return (int64) count;
}

static Interval *
take_time(const Reading *reading, const JsonbValue *value)
{
	Interval   *interval = ml_attempt_interval(take_text(reading, "min_time", value));

	if (interval == NULL)
		refuse_value(reading, "min_time", value, "it must be a length of time, as in \"1 day\"");
	if (ml_watch_interval(interval) < 0)
		refuse_value(reading, "min_time", value, "it must not be negative");
	return interval;
}

static void
take_gates(const Reading *reading, const JsonbValue *value)
{
	MlRolloutStep *step = reading->step;
	JsonbContainer *array = value->type == jbvBinary ? value->val.binary.data : NULL;

	if (array == NULL || !JsonContainerIsArray(array))
		refuse_value(reading, "gates", value, "it must be an array of names of gates");
	step->ngates = JsonContainerSize(array);
	step->gate = palloc(sizeof(char *) * Max(step->ngates, 1));
	for (int i = 0; i < step->ngates; i++)
	{
		step->gate[i] = take_text(reading, "gates", getIthJsonbValueFromContainer(array, i));
		ml_gate_require(reading->model, step->gate[i]);
	}
}

static MlRolloutCompare
take_compare(const Reading *reading, const JsonbValue *value)
{
	char	   *text = take_text(reading, "compare", value);

	for (int i = 0; i < ML_NCOMPARE; i++)
		if (strcmp(text, ml_compare_names[i]) == 0)
			return i;
	refuse_value(reading, "compare", value, "it must be \"no worse\", \"better\" or \"off\"");
	return ML_COMPARE_OFF;
}

static void
refuse_key(const Reading *reading, const char *key)
{
	MlNearest	nearest;

	ml_nearest_begin(&nearest, key);
	for (int i = 0; i < lengthof(keys); i++)
		ml_nearest_offer(&nearest, keys[i]);
	refuse(reading, nearest.best != NULL ? psprintf("It has no key \"%s\"; perhaps you meant \"%s\".", key, nearest.best) :
		   psprintf("It has no key \"%s\". A step has: name, share, min_time, min_rows, min_outcomes, gates, compare.", key));
}

static void
take_pair(void *arg, char *key, JsonbValue *value)
{
	Reading    *reading = arg;
	MlRolloutStep *step = reading->step;

	if (strcmp(key, "name") == 0)
		step->name = take_text(reading, key, value);
	else if (strcmp(key, "share") == 0)
		step->share = take_share(reading, value);
	else if (strcmp(key, "min_time") == 0)
		step->min_time = take_time(reading, value);
	else if (strcmp(key, "min_rows") == 0)
		step->min_rows = take_count(reading, key, value);
	else if (strcmp(key, "min_outcomes") == 0)
		step->min_outcomes = take_count(reading, key, value);
	else if (strcmp(key, "gates") == 0)
		take_gates(reading, value);
	else if (strcmp(key, "compare") == 0)
		step->compare = take_compare(reading, value);
	else
		refuse_key(reading, key);
	reading->conditions |= strcmp(key, "name") != 0 && strcmp(key, "share") != 0;
}

static void
read_step(Reading *reading, const JsonbValue *value, double share_before, bool last)
{
	MlRolloutStep *step = reading->step;

	step->share = NAN;
	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		refuse(reading, psprintf("It is %s, which is not an object with a share.", ml_json_show(value)));
	ml_json_each(JsonbValueToJsonb(unconstify(JsonbValue *, value)), take_pair, reading);
	if (isnan(step->share))
		refuse(reading, "It has no \"share\".");
	if (step->share <= share_before)
		refuse(reading, psprintf("Its share is %g, and that of the step before is %g; shares must grow.", step->share, share_before));
	if (last && step->share < 1)
		refuse(reading, psprintf("It is the last, and its share is %g; the last share must be 1.", step->share));
	if (last && reading->conditions)
		refuse(reading, "It serves all rows, and the rollout has ended: what else it asks for would not be heard. Conditions are those to leave a step.");
	if (step->name == NULL)
		step->name = last ? pstrdup("all") : psprintf("step %d", reading->number);
}

/* what is compared are outcomes, of which some tasks have none: 0A000 */
static void
require_outcomes(const char *model, const MlRolloutStep *steps, int n)
{
	for (int i = 0; i < n - 1; i++)
		if (steps[i].compare != ML_COMPARE_OFF || steps[i].min_outcomes > 0)
		{
			(void) ml_live_task(model);
			return;
		}
}

MlRolloutStep *
ml_rollout_steps(const char *model, Jsonb *stages, int *n)
{
	MlRolloutStep *steps;
	double		share = 0;

	*n = JB_ROOT_IS_ARRAY(stages) && !JB_ROOT_IS_SCALAR(stages) ? JB_ROOT_COUNT(stages) : 0;
	if (*n < 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a rollout has two steps at least"),
				 errdetail("stages is %s.", ml_json_show_jsonb(stages)),
				 errhint("As in '%s'; mlops_promote(%s, version) serves a version to everyone at once.", EXAMPLE,
						 quote_literal_cstr(model))));
	if (*n > MOST_STEPS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a rollout has at most %d steps", MOST_STEPS),
				 errdetail("stages has %d.", *n),
				 errhint("Let the share grow in larger steps.")));
	steps = palloc0(sizeof(MlRolloutStep) * *n);
	for (int i = 0; i < *n; i++)
	{
		Reading		reading = {model, i + 1, &steps[i]};

		read_step(&reading, getIthJsonbValueFromContainer(&stages->root, i), share, i == *n - 1);
		share = steps[i].share;
	}
	require_outcomes(model, steps, *n);
	return steps;
}
